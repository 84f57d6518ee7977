
// What a destination is for these rules: { name } or { bits }, and its port. Nothing where that is
// not certain, so that the proxy decides.
function parse(url, host) {
  var port = portOf(url);
  host = String(host).toLowerCase().replace(/^\[(.*)\]$/, "$1").replace(/\.$/, "");
  if (!port || !host) return null;
  if (host.indexOf(":") >= 0) {
    var groups = parseIPv6(host);
    return groups && !leadsElsewhere(groups) ? judged(bitsOf(groups), port) : null;
  }
  if (!/^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/.test(host)) return null;
  // A host whose last label is a number is an IPv4 address, or none at all.
  if (/(^|\.)([0-9]+|0x[0-9a-f]*)$/.test(host)) {
    var bytes = parseIPv4(host);
    return bytes && judged("4" + binary(bytes, 8), port);
  }
  return { name: host, port: port };
}

function portOf(url) {
  var parts = /^([a-z][a-z0-9+.-]*):\/\/([^\/?#]*)/i.exec(url);
  if (!parts) return 0;
  var given = /:([0-9]+)$/.exec(parts[2]);
  if (given) return Number(given[1]);
  switch (parts[1].toLowerCase()) {
    case "http": case "ws": return 80;
    case "https": case "wss": return 443;
    case "ftp": return 21;
    default: return 0;
  }
}

function parseIPv4(text) {
  var parts = text.split(".");
  if (parts.length !== 4) return null;
  for (var i = 0; i < 4; i++) {
    if (!/^(0|[1-9][0-9]{0,2})$/.test(parts[i]) || Number(parts[i]) > 255) return null;
    parts[i] = Number(parts[i]);
  }
  return parts;
}

// Eight groups of 16 bits.
function parseIPv6(text) {
  var last = /^(.*:)([0-9]+\.[0-9.]+)$/.exec(text);
  if (last) {
    var bytes = parseIPv4(last[2]);
    if (!bytes) return null;
    var words = [bytes[0] * 256 + bytes[1], bytes[2] * 256 + bytes[3]];
    text = last[1] + words[0].toString(16) + ":" + words[1].toString(16);
  }
  var halves = text.split("::");
  if (halves.length > 2) return null;
  var start = halves[0] ? halves[0].split(":") : [];
  var end = halves.length === 2 && halves[1] ? halves[1].split(":") : [];
  var missing = 8 - start.length - end.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return null;
  while (missing-- > 0) start.push("0");
  var groups = start.concat(end);
  for (var i = 0; i < 8; i++) {
    if (!/^[0-9a-f]{1,4}$/.test(groups[i])) return null;
    groups[i] = parseInt(groups[i], 16);
  }
  return groups;
}

// 0.0.0.0/8 is this machine, whichever that is: the proxy decides.
function judged(bits, port) {
  return bits.substring(0, 9) === "400000000" ? null : { bits: bits, port: port };
}

// Whether the rules judge by an IPv4 address inside as well: compatible, translated, NAT64, 6to4,
// Teredo, ISATAP.
function leadsElsewhere(g) {
  var first = g.slice(0, 6).join(",");
  return (first === "0,0,0,0,0,0" && !(g[6] === 0 && g[7] === 1)) ||
    first === "0,0,0,0,65535,0" || first === "100,65435,0,0,0,0" ||
    (g[0] === 0x64 && g[1] === 0xff9b && g[2] === 1) || g[0] === 0x2002 ||
    (g[0] === 0x2001 && g[1] === 0) || ((g[4] === 0 || g[4] === 0x200) && g[5] === 0x5efe);
}

// An IPv4 address mapped into IPv6 is an IPv4 address.
function bitsOf(groups) {
  var bits = binary(groups, 16);
  return /^0{80}1{16}/.test(bits) ? "4" + bits.substring(96) : "6" + bits;
}

function binary(numbers, width) {
  var bits = "";
  for (var i = 0; i < numbers.length; i++) {
    var digits = numbers[i].toString(2);
    while (digits.length < width) digits = "0" + digits;
    bits += digits;
  }
  return bits;
}

function portHolds(rule, port) {
  for (var i = 0; i < rule.ports.length; i++) {
    if (rule.ports[i][0] <= port && port <= rule.ports[i][1]) return true;
  }
  return rule.ports.length === 0;
}

function addressHolds(rule, bits) {
  for (var n = 1; n <= bits.length; n++) {
    if (rule.entries[bits.substring(0, n)] === 1) return true;
  }
  return false;
}

function nameHolds(rule, name) {
  if (rule.entries["=" + name] === 1) return true;
  for (var rest = name; ; rest = rest.substring(rest.indexOf(".") + 1)) {
    if (rule.entries["*" + rest] === 1) return true;
    if (rest.indexOf(".") < 0) break;
  }
  for (var k = 0; k < rule.keywords.length; k++) {
    if (name.indexOf(rule.keywords[k]) >= 0) return true;
  }
  for (var e = 0; e < rule.expressions.length; e++) {
    if (new RegExp(rule.expressions[e], "i").test(name)) return true;
  }
  return false;
}

function FindProxyForURL(url, host) {
  var asked = parse(url, host);
  if (!asked) return PROXY;
  for (var i = 0; i < RULES.length; i++) {
    var rule = RULES[i];
    if (!portHolds(rule, asked.port)) continue;
    var certain = !rule.entries ||
      (asked.name ? nameHolds(rule, asked.name) : addressHolds(rule, asked.bits));
    var perhaps = asked.name ? rule.perhaps_names : rule.perhaps_addresses;
    if (!certain && !perhaps) continue;
    return certain && rule.direct ? "DIRECT" : PROXY;
  }
  return DEFAULT;
}
