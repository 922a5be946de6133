package deploy_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"fmt"
	"math/big"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/lianhu/lianhu/pkg/client"
	"github.com/lianhu/lianhu/pkg/identity"
	"github.com/lianhu/lianhu/pkg/loopback"
	"github.com/lianhu/lianhu/pkg/pgtest"
	"github.com/lianhu/lianhu/pkg/postgres"
	referralv1 "github.com/lianhu/lianhu/proto/gen/lianhu/referral/v1"
	registryv1 "github.com/lianhu/lianhu/proto/gen/lianhu/registry/v1"
	reliefv1 "github.com/lianhu/lianhu/proto/gen/lianhu/relief/v1"
	reportingv1 "github.com/lianhu/lianhu/proto/gen/lianhu/reporting/v1"
)

const domain = "xinbei.example"

// The binary of the image starts with the manifests' arguments and settings and with nothing else in its environment, in production,
// by certificates of an authority that is not the development one. A service is live while its database awaits the migration and ready
// after it; the gateway reaches all four; everything stops well on SIGTERM.
func TestTheManifestsStartTheSuiteInProduction(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	running := map[string]*exec.Cmd{}
	for name, d := range objects(t, "Deployment") {
		running[name] = c.start(t, name, d)
	}
	for name := range running {
		c.await(t, name, "live")
	}
	for name, job := range objects(t, "Job") {
		if out, err := c.command(t, job, name).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
	}
	for name := range running {
		c.await(t, name, "ready")
	}
	c.callEach(t)
	c.count(t)
	c.operate(t)
	for name, cmd := range running {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, cmd := range running {
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s ended with %v", name, err)
		}
	}
}

// cluster stands for what Kubernetes gives the pods: Secrets, names of services, ports.
type cluster struct {
	dir, binary string
	authority   authority
	secrets     map[string]map[string]string // by Secret and key
	ports       map[string]string            // address by "service:port"
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{dir: t.TempDir(), authority: newAuthority(t), secrets: map[string]map[string]string{}, ports: map[string]string{}}
	c.binary = filepath.Join(c.dir, "lianhu")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", c.binary, "./services/suite/cmd/lianhu")
	build.Dir, build.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	for name, d := range objects(t, "Deployment") {
		for _, port := range d.Spec.Template.Spec.Containers[0].Ports {
			c.ports[fmt.Sprintf("%s:%d", name, port.ContainerPort)] = freeAddress(t)
		}
		c.put(t, name+"-tls", c.authority.issue(t, identity.OfService(domain, name)))
	}
	for _, database := range []string{"registry", "reporting", "vault", "referral", "relief"} {
		c.database(t, database)
	}
	c.put(t, "reporting-keys", map[string]string{"root": key(), "vault": key()})
	for _, name := range []string{"registry", "referral", "relief"} {
		c.put(t, name+"-keys", map[string]string{"root": key()})
	}
	return c
}

// put keeps a Secret, as what env refers to and as the folder a volume would be.
func (c *cluster) put(t *testing.T, name string, content map[string]string) {
	t.Helper()
	c.secrets[name] = content
	if err := os.MkdirAll(filepath.Join(c.dir, name), 0o700); err != nil {
		t.Fatal(err)
	}
	for file, text := range content {
		if err := os.WriteFile(filepath.Join(c.dir, name, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func key() string {
	raw := make([]byte, 32)
	_, _ = rand.Read(raw) // never fails
	return hex.EncodeToString(raw)
}

func freeAddress(t *testing.T) string {
	t.Helper()
	address, err := loopback.Address()
	if err != nil {
		t.Fatal(err)
	}
	return address
}

// database makes an empty database with its two roles, as docs/operating.md asks for.
func (c *cluster) database(t *testing.T, name string) {
	t.Helper()
	admin, unique := pgtest.Server(t), "deploy_"+name+"_"+strings.ReplaceAll(uuid.NewString(), "-", "")[:12]
	a := postgres.Access{Database: unique, Owner: unique + "_owner", App: unique + "_app", OwnerPassword: key(), AppPassword: key()}
	if err := postgres.Ensure(t.Context(), admin, a); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		conn, err := pgx.Connect(context.WithoutCancel(t.Context()), admin)
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
		if _, err := conn.Exec(context.WithoutCancel(t.Context()), "DROP DATABASE "+unique+" WITH (FORCE)"); err != nil {
			t.Error(err)
		}
	})
	for use, role := range map[string][2]string{"owner": {a.Owner, a.OwnerPassword}, "database": {a.App, a.AppPassword}} {
		address, err := postgres.URL(admin, unique, role[0], role[1])
		if err != nil {
			t.Fatal(err)
		}
		c.put(t, name+"-"+use, map[string]string{"url": address})
	}
}

// command is the pod's process: its arguments and, as the whole environment, its settings, with paths and addresses of this machine.
func (c *cluster) command(t *testing.T, o object, name string) *exec.Cmd {
	t.Helper()
	p := o.Spec.Template.Spec
	pod := p.Containers[0]
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), c.binary, pod.Args...)
	cmd.Env = []string{"PATH="} // not nil, which would mean the test's own environment
	for _, from := range pod.EnvFrom {
		for variable, value := range objects(t, "ConfigMap")[from.ConfigMapRef.Name].Data {
			cmd.Env = append(cmd.Env, variable+"="+c.here(t, value, p, name))
		}
	}
	for _, e := range pod.Env {
		value := e.Value
		if ref := e.ValueFrom.SecretKeyRef; ref.Name != "" {
			var ok bool
			if value, ok = c.secrets[ref.Name][ref.Key]; !ok {
				t.Fatalf("%s refers to %s of %s, which docs/operating.md does not ask for", name, ref.Key, ref.Name)
			}
		}
		cmd.Env = append(cmd.Env, e.Name+"="+c.here(t, value, p, name))
	}
	return cmd
}

// here puts this machine's paths and addresses in the place of the pod's.
func (c *cluster) here(t *testing.T, value string, p pod, name string) string {
	t.Helper()
	if value == "/district" {
		path, err := filepath.Abs(filepath.Join(root, "districts", "xinbei"))
		if err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, m := range p.Containers[0].VolumeMounts {
		for _, v := range p.Volumes {
			if v.Name == m.Name {
				value = strings.Replace(value, m.MountPath, filepath.Join(c.dir, v.Secret.SecretName), 1)
			}
		}
	}
	for known, address := range c.ports {
		if own, found := strings.CutPrefix(known, name); found && own == value {
			return address
		}
		value = strings.Replace(value, "="+known, "="+address, 1)
	}
	return value
}

func (c *cluster) start(t *testing.T, name string, o object) *exec.Cmd {
	t.Helper()
	cmd := c.command(t, o, name)
	log, err := os.Create(filepath.Join(c.dir, name+".log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // an error means that it has ended, as it should have
		if content, err := os.ReadFile(log.Name()); err == nil && t.Failed() {
			t.Logf("%s wrote:\n%s", name, content)
		}
		_ = log.Close()
	})
	return cmd
}

// await asks the health port as the kubelet does until the answer is SERVING.
func (c *cluster) await(t *testing.T, name, service string) {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+c.ports[name+":8081"], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	watch, err := healthpb.NewHealthClient(conn).Watch(ctx, &healthpb.HealthCheckRequest{Service: service}, grpc.WaitForReady(true))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	for {
		answer, err := watch.Recv()
		if err != nil {
			t.Fatalf("%s does not become %s: %v", name, service, err)
		}
		if answer.GetStatus() == healthpb.HealthCheckResponse_SERVING {
			return
		}
	}
}

// count runs what the CronJob runs beside the serving suite, as the role that docs/operating.md makes for it: nothing is broken; a planted
// violation is; and without the right to read it says that it could not count. No home is made.
func (c *cluster) count(t *testing.T) {
	t.Helper()
	reader := "deploy_promises_" + strings.ReplaceAll(uuid.NewString(), "-", "")[:12]
	password, urls := key(), map[string]string{}
	c.execute(t, pgtest.Server(t), "CREATE ROLE "+reader+" LOGIN PASSWORD '"+password+"'")
	for _, name := range []string{"registry", "reporting", "vault", "referral", "relief"} {
		owner := c.secrets[name+"-owner"]["url"]
		address, err := url.Parse(owner)
		if err != nil {
			t.Fatal("the owner's address cannot be read")
		}
		c.execute(t, owner, "GRANT CONNECT ON DATABASE "+strings.TrimPrefix(address.Path, "/")+" TO "+reader)
		if name == "vault" {
			c.execute(t, owner, "GRANT SELECT (report_id, tag, write_time, accepted) ON reporter TO "+reader)
		} else {
			c.execute(t, owner, "GRANT SELECT ON ALL TABLES IN SCHEMA public TO "+reader)
		}
		address.User = url.UserPassword(reader, password)
		urls[name] = address.String()
	}
	c.put(t, "promises", urls)
	relief := c.secrets["relief-owner"]["url"]
	for _, step := range []struct {
		before string
		status int
		says   []string
	}{
		{"SELECT 1", 0, []string{"no unowned moment", "money adds up", "0 violations"}},
		{"INSERT INTO parked_event (follower, seq, subject_kind, subject_id, event, attempts, reason, request_id, deadline) " +
			"VALUES ('relief.referral', 7, 'referral', gen_random_uuid(), '', 10, 'INTERNAL', gen_random_uuid(), now() + interval '1 day')",
			1, []string{"relief events.parked: 1", "a promise is broken"}},
		{"REVOKE SELECT ON parked_event FROM " + reader, 2, []string{"relief", "42501", "Counting the promises"}},
	} {
		c.execute(t, relief, step.before)
		cmd := c.command(t, objects(t, "CronJob")["promises"], "promises")
		cmd.Dir = t.TempDir()
		out, _ := cmd.CombinedOutput() // the status is what counts
		if got := cmd.ProcessState.ExitCode(); got != step.status {
			t.Errorf("after %s: status %d, want %d:\n%s", step.before, got, step.status, out)
		}
		for _, text := range step.says {
			if !strings.Contains(string(out), text) {
				t.Errorf("after %s: %q is not printed:\n%s", step.before, text, out)
			}
		}
		if left, err := os.ReadDir(cmd.Dir); err != nil || len(left) > 0 {
			t.Errorf("counting left %v, %v", left, err)
		}
	}
}

// operate lists what is parked as an operator does who has a certificate of the district and no home.
func (c *cluster) operate(t *testing.T) {
	t.Helper()
	file := func(name string) string { return filepath.Join(c.dir, "operations-tls", name) }
	cmd := exec.CommandContext(t.Context(), c.binary, "ops", "parked", "relief", "--grpc", c.ports["gateway:8443"],
		"--cert", file("tls.crt"), "--key", file("tls.key"), "--ca", file("ca.crt"))
	cmd.Dir, cmd.Env = t.TempDir(), []string{"PATH="}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "relief.referral") {
		t.Errorf("lianhu ops parked: %v\n%s", err, out)
	}
}

// execute runs a statement at an address.
func (c *cluster) execute(t *testing.T, address, statement string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal("cannot connect")
	}
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	if _, err := conn.Exec(t.Context(), statement); err != nil {
		t.Fatalf("%v", postgres.Sanitize(err))
	}
}

// callEach asks each service for its version, through the gateway, as the operations unit.
func (c *cluster) callEach(t *testing.T) {
	t.Helper()
	c.put(t, "operations-tls", c.authority.issue(t, identity.OfUnit(domain, "operations", "main")))
	dir := filepath.Join(c.dir, "operations-tls")
	source, err := identity.Load(identity.Files{Certificate: filepath.Join(dir, "tls.crt"), Key: filepath.Join(dir, "tls.key"), Roots: filepath.Join(dir, "ca.crt")})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := client.Dial("passthrough:///"+c.ports["gateway:8443"], client.Options{Identity: source, Peer: identity.OfService(domain, "gateway"), Timeout: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	ctx := t.Context()
	digests := map[string]bool{}
	for _, call := range []func() (interface{ GetDistrictDigest() string }, error){
		func() (interface{ GetDistrictDigest() string }, error) {
			v, err := registryv1.NewRegistryReadServiceClient(conn).GetVersion(ctx, &registryv1.GetVersionRequest{})
			return v.GetVersion(), err
		},
		func() (interface{ GetDistrictDigest() string }, error) {
			v, err := reportingv1.NewReportingReadServiceClient(conn).GetVersion(ctx, &reportingv1.GetVersionRequest{})
			return v.GetVersion(), err
		},
		func() (interface{ GetDistrictDigest() string }, error) {
			v, err := referralv1.NewReferralReadServiceClient(conn).GetVersion(ctx, &referralv1.GetVersionRequest{})
			return v.GetVersion(), err
		},
		func() (interface{ GetDistrictDigest() string }, error) {
			v, err := reliefv1.NewReliefReadServiceClient(conn).GetVersion(ctx, &reliefv1.GetVersionRequest{})
			return v.GetVersion(), err
		},
	} {
		version, err := call()
		if err != nil {
			t.Fatal(err)
		}
		digests[version.GetDistrictDigest()] = true
	}
	if len(digests) != 1 {
		t.Errorf("%d district digests", len(digests))
	}
}

// authority is a district's own certificate authority, which the suite has not made.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "District authority"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return authority{certificate, key}
}

// issue makes a Secret of the kind kubernetes.io/tls, with the roots beside it.
func (a authority) issue(t *testing.T, id identity.Identity) map[string]string {
	t.Helper()
	name, err := url.Parse(id.String())
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "of the suite"}, NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}, URIs: []*url.URL{name},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	leaf := identity.Leaf{Key: key, DER: der}
	keyPEM, err := leaf.KeyPEM()
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"tls.crt": string(leaf.CertificatePEM()), "tls.key": string(keyPEM), "ca.crt": string(identity.Leaf{DER: a.certificate.Raw}.CertificatePEM()),
	}
}
