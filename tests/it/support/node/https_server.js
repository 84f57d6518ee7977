// Serves a text by HTTPS: https_server.js KEY CERTIFICATE TEXT. Prints its port.
const [key, cert] = process.argv.slice(2, 4).map((file) => require('fs').readFileSync(file));
const server = require('https').createServer({ key, cert }, (_, answer) => answer.end(process.argv[4]));
server.listen(0, '127.0.0.1', () => console.log(server.address().port));
