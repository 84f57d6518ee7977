// A server of Go's SSH library (golang.org/x/crypto/ssh), as gliderlabs/ssh puts it together.
//
//	main PORT HOST_KEY AUTHORIZED_KEYS PASSWORD
package main

import (
	"log"
	"os"

	"github.com/gliderlabs/ssh"
)

func main() {
	port, hostKey, authorized, password := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	text, err := os.ReadFile(authorized)
	if err != nil {
		log.Fatal(err)
	}
	known, _, _, _, err := ssh.ParseAuthorizedKey(text)
	if err != nil {
		log.Fatal(err)
	}
	forwards := &ssh.ForwardedTCPHandler{}
	server := &ssh.Server{
		Addr:             "127.0.0.1:" + port,
		PublicKeyHandler: func(_ ssh.Context, key ssh.PublicKey) bool { return ssh.KeysEqual(key, known) },
		PasswordHandler:  func(_ ssh.Context, given string) bool { return given == password },
		ChannelHandlers:  map[string]ssh.ChannelHandler{"direct-tcpip": ssh.DirectTCPIPHandler},
		RequestHandlers: map[string]ssh.RequestHandler{
			"tcpip-forward":        forwards.HandleSSHRequest,
			"cancel-tcpip-forward": forwards.HandleSSHRequest,
		},
		LocalPortForwardingCallback:   func(ssh.Context, string, uint32) bool { return true },
		ReversePortForwardingCallback: func(ssh.Context, string, uint32) bool { return true },
	}
	if err := server.SetOption(ssh.HostKeyFile(hostKey)); err != nil {
		log.Fatal(err)
	}
	log.Println("listening")
	log.Fatal(server.ListenAndServe())
}
