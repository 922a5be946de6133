package storm

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2/client"

	"github.com/lianhu/lianhu/pkg/loopback"
)

// links are the connections that pass a proxy of ours, which can cut, delay and swallow: clients to each replica of the gateway, the gateway
// and the services to each replica of a service, and each service to PostgreSQL.
type links struct {
	client  *toxiproxy.Client
	process *exec.Cmd
	proxies map[string]*toxiproxy.Proxy
}

// startLinks starts the proxy's process. It ends with ctx.
func startLinks(ctx context.Context, root, dir string) (*links, error) {
	address, err := loopback.Address()
	if err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, "toxiproxy.log"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	l := &links{client: toxiproxy.NewClient(address), proxies: map[string]*toxiproxy.Proxy{}}
	l.process = exec.CommandContext(ctx, filepath.Join(root, ".bin", "toxiproxy"), "-host", host, "-port", port)
	l.process.Stdout, l.process.Stderr = log, log
	if err := l.process.Start(); err != nil {
		return nil, fmt.Errorf("storm: start toxiproxy (make tools builds it): %w", err)
	}
	for ctx.Err() == nil {
		if _, err := l.client.Proxies(); err == nil {
			return l, nil
		}
		pause(ctx, 20*time.Millisecond)
	}
	return nil, ctx.Err()
}

// through leads a link to an address and gives the address to use in its place.
func (l *links) through(name, address string) (string, error) {
	if p, ok := l.proxies[name]; ok {
		return p.Listen, nil
	}
	listen, err := loopback.Address() // a link that is cut comes back to its port
	if err != nil {
		return "", err
	}
	p, err := l.client.CreateProxy(name, listen, address)
	if err != nil {
		return "", fmt.Errorf("storm: link %s: %w", name, err)
	}
	l.proxies[name] = p
	return p.Listen, nil
}

// database leads a variable's URL of PostgreSQL through the link of a service.
func (l *links) database(service, variable string, port int) (string, error) {
	address := fmt.Sprintf("127.0.0.1:%d", port)
	name, url, ok := strings.Cut(variable, "=")
	if !ok || !strings.HasSuffix(name, "DATABASE_URL") || !strings.Contains(url, address) {
		return variable, nil
	}
	proxied, err := l.through("database-"+service, address)
	return name + "=" + strings.Replace(url, address, proxied, 1), err
}

// peers leads the addresses of the other services in a variable through a link for each of their replicas.
func (l *links) peers(variable string) (string, error) {
	name, peers, ok := strings.Cut(variable, "=")
	if !ok || !strings.HasSuffix(name, "_PEERS") {
		return variable, nil
	}
	services := strings.Split(peers, ",")
	for i, one := range services {
		service, addresses, _ := strings.Cut(one, "=")
		replicas := strings.Split(addresses, ";")
		for n, address := range replicas {
			var err error
			if replicas[n], err = l.through(fmt.Sprintf("service-%s-%d", service, n), address); err != nil {
				return "", err
			}
		}
		services[i] = service + "=" + strings.Join(replicas, ";")
	}
	return name + "=" + strings.Join(services, ","), nil
}

func (l *links) stop() {
	if l != nil && l.process.Process != nil {
		_ = l.process.Process.Kill() // an error means that it has ended
		_ = l.process.Wait()         // how it ended does not matter
	}
}
