// Command push is a dispatch system to start from: it pushes a file of incident updates and goes on through cuts, restarts and drains until
// each of them is durable. It knows the published contract and nothing else; docs/dispatch.md says why each step is as it is.
//
// The status is 0 when every number of the file is durable and none was quarantined, 1 when a person has to look, 2 when nothing was sent.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"

	reportingv1 "lianhu-dispatch-example/contract/lianhu/reporting/v1"
)

func main() {
	target := flag.String("target", "", "`HOST:PORT` of the gateway")
	roots := flag.String("roots", "", "PEM `file` of the authority you were given")
	certificate := flag.String("cert", "", "PEM `file` of your certificate")
	key := flag.String("key", "", "PEM `file` of its key")
	epoch := flag.Int64("epoch", 1, "life of your counter: raise it only when the counter is lost")
	longest := flag.Duration("longest-pause", 30*time.Second, "before connecting again")
	flag.Parse()
	if *target == "" || flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: push --target HOST:PORT --roots FILE --cert FILE --key FILE [--epoch N] UPDATES.ndjson")
		os.Exit(2)
	}
	outbox, err := ReadOutbox(flag.Arg(0))
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v; nothing was sent\n", flag.Arg(0), err)
		os.Exit(2)
	}
	conn, err := dial(*target, *roots, *certificate, *key)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	source := &Source{Client: reportingv1.NewDispatchServiceClient(conn), Epoch: *epoch, LongestPause: *longest, Outbox: outbox}
	if err := source.Push(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "stopped:", err)
		os.Exit(1)
	}
	if fmt.Printf("done: all is durable, %d quarantined\n", source.Quarantined); source.Quarantined > 0 {
		os.Exit(1)
	}
}

// dial connects with mutual TLS: the certificate is all that says who you are.
func dial(target, roots, certificate, key string) (*grpc.ClientConn, error) {
	authority, err := os.ReadFile(roots)
	if err != nil {
		return nil, err
	}
	own, err := tls.LoadX509KeyPair(certificate, key)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(authority) {
		return nil, fmt.Errorf("%s holds no certificate", roots)
	}
	again := backoff.DefaultConfig
	again.BaseDelay, again.MaxDelay = 200*time.Millisecond, 5*time.Second // gRPC's own longest pause is two minutes
	return grpc.NewClient(target,
		grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: pool, Certificates: []tls.Certificate{own}, MinVersion: tls.VersionTLS12})),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: again, MinConnectTimeout: 5 * time.Second}),
		// A dead line is noticed within half a minute; pings closer than 10 s are refused.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 20 * time.Second, Timeout: 10 * time.Second}))
}
