package deploy_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.yaml.in/yaml/v3"
)

const root = "../.."

// object is what the checks look at of any Kubernetes object.
type object struct {
	Kind     string
	Metadata struct {
		Name, Namespace string
		Labels          map[string]string
	}
	Data map[string]string
	Spec struct {
		Replicas  int
		ClusterIP string `yaml:"clusterIP"`
		// Selector of a Deployment nests what a Service's holds directly.
		Selector yaml.Node
		Ports    []struct {
			Name string
			Port int
		}
		Template struct {
			Metadata struct{ Labels map[string]string }
			Spec     pod
		}
		// JobTemplate of a CronJob nests what a Job holds directly.
		JobTemplate struct {
			Spec struct {
				Template struct{ Spec pod }
			}
		} `yaml:"jobTemplate"`
	}
}

type pod struct {
	EnableServiceLinks           *bool `yaml:"enableServiceLinks"`
	AutomountServiceAccountToken *bool `yaml:"automountServiceAccountToken"`
	SecurityContext              struct {
		RunAsNonRoot   bool                  `yaml:"runAsNonRoot"`
		SeccompProfile struct{ Type string } `yaml:"seccompProfile"`
	} `yaml:"securityContext"`
	Containers []container
	Volumes    []struct {
		Name   string
		Secret struct {
			SecretName string `yaml:"secretName"`
		}
	}
}

type container struct {
	Name, Image string
	Args        []string
	Env         []struct {
		Name, Value string
		ValueFrom   struct {
			SecretKeyRef struct{ Name, Key string } `yaml:"secretKeyRef"`
		} `yaml:"valueFrom"`
	}
	EnvFrom []struct {
		ConfigMapRef struct{ Name string } `yaml:"configMapRef"`
	} `yaml:"envFrom"`
	Ports []struct {
		Name          string
		ContainerPort int `yaml:"containerPort"`
	}
	VolumeMounts []struct {
		Name      string
		MountPath string `yaml:"mountPath"`
	} `yaml:"volumeMounts"`
	LivenessProbe   probe `yaml:"livenessProbe"`
	ReadinessProbe  probe `yaml:"readinessProbe"`
	SecurityContext struct {
		AllowPrivilegeEscalation *bool `yaml:"allowPrivilegeEscalation"`
		ReadOnlyRootFilesystem   bool  `yaml:"readOnlyRootFilesystem"`
		Capabilities             struct{ Drop []string }
	} `yaml:"securityContext"`
	Resources struct{ Limits, Requests map[string]string }
}

type probe struct {
	GRPC struct {
		Port    int
		Service string
	} `yaml:"grpc"`
}

// rendered is what `kustomize build deploy/base` prints.
var rendered = sync.OnceValues(func() ([]object, error) {
	dir, err := os.MkdirTemp("", "lianhu-kustomize-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	tool := filepath.Join(dir, "kustomize")
	build := exec.Command("go", "build", "-o", tool, "sigs.k8s.io/kustomize/kustomize/v5")
	build.Dir, build.Env = filepath.Join(root, "tools", "kustomize"), append(os.Environ(), "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, errors.Join(err, errors.New(string(out)))
	}
	out, err := exec.Command(tool, "build", filepath.Join(root, "deploy", "base")).Output()
	if err != nil {
		return nil, err
	}
	var objects []object
	decoder := yaml.NewDecoder(bytes.NewReader(out))
	for {
		var o object
		if err := decoder.Decode(&o); errors.Is(err, io.EOF) {
			return objects, nil
		} else if err != nil {
			return nil, err
		}
		objects = append(objects, o)
	}
})

func objects(t *testing.T, kind string) map[string]object {
	t.Helper()
	all, err := rendered()
	if err != nil {
		t.Fatal(err)
	}
	of := map[string]object{}
	for _, o := range all {
		if o.Kind == "CronJob" {
			o.Spec.Template.Spec = o.Spec.JobTemplate.Spec.Template.Spec
		}
		if o.Kind == kind {
			of[o.Metadata.Name] = o
		}
	}
	return of
}

var parts = []string{"gateway", "referral", "registry", "relief", "reporting"}

func names(of map[string]object) []string {
	var out []string
	for name := range of {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}

func TestTheBaseHoldsTheFiveServices(t *testing.T) {
	t.Parallel()
	deployments, services, jobs := objects(t, "Deployment"), objects(t, "Service"), objects(t, "Job")
	if !slices.Equal(names(deployments), parts) || !slices.Equal(names(services), parts) || !slices.Equal(names(objects(t, "PodDisruptionBudget")), parts) {
		t.Errorf("deployments %v, services %v", names(deployments), names(services))
	}
	if want := []string{"referral-migrate", "registry-migrate", "relief-migrate", "reporting-migrate"}; !slices.Equal(names(jobs), want) {
		t.Errorf("jobs %v, want %v", names(jobs), want)
	}
	for name, d := range deployments {
		if d.Spec.Replicas != 2 {
			t.Errorf("%s has %d replicas", name, d.Spec.Replicas)
		}
		s := services[name]
		if s.Spec.ClusterIP != "None" {
			t.Errorf("service %s is not headless: its clients would stay with one replica", name)
		}
		var selector map[string]string
		if err := s.Spec.Selector.Decode(&selector); err != nil {
			t.Fatal(err)
		}
		for label, value := range selector {
			if d.Spec.Template.Metadata.Labels[label] != value {
				t.Errorf("service %s selects %s=%s, which its pods do not have", name, label, value)
			}
		}
		for _, p := range s.Spec.Ports {
			if p.Name == "health" {
				t.Errorf("service %s publishes the plaintext port", name)
			}
		}
	}
}

// What a reader of the manifests must not have to check pod by pod.
func TestEveryPodIsRestricted(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"Deployment", "Job", "CronJob"} {
		for name, o := range objects(t, kind) {
			p := o.Spec.Template.Spec
			if len(p.Containers) != 1 {
				t.Fatalf("%s has %d containers", name, len(p.Containers))
			}
			c := p.Containers[0]
			for what, holds := range map[string]bool{
				"runs as root":               p.SecurityContext.RunAsNonRoot,
				"has no seccomp profile":     p.SecurityContext.SeccompProfile.Type == "RuntimeDefault",
				"has a token of the cluster": p.AutomountServiceAccountToken != nil && !*p.AutomountServiceAccountToken,
				"gets variables of Services": p.EnableServiceLinks != nil && !*p.EnableServiceLinks,
				"may gain privileges":        c.SecurityContext.AllowPrivilegeEscalation != nil && !*c.SecurityContext.AllowPrivilegeEscalation,
				"may write its root":         c.SecurityContext.ReadOnlyRootFilesystem,
				"keeps capabilities":         slices.Equal(c.SecurityContext.Capabilities.Drop, []string{"ALL"}),
				"has no memory limit":        c.Resources.Limits["memory"] != "",
				"requests nothing":           c.Resources.Requests["cpu"] != "" && c.Resources.Requests["memory"] != "",
			} {
				if !holds {
					t.Errorf("%s %s %s", kind, name, what)
				}
			}
		}
	}
}

func TestProbesAskTheHealthPort(t *testing.T) {
	t.Parallel()
	for name, o := range objects(t, "Deployment") {
		c := o.Spec.Template.Spec.Containers[0]
		port := 0
		for _, p := range c.Ports {
			if p.Name == "health" {
				port = p.ContainerPort
			}
		}
		if port == 0 || c.LivenessProbe.GRPC.Port != port || c.ReadinessProbe.GRPC.Port != port {
			t.Errorf("%s: health port %d, probes %+v and %+v", name, port, c.LivenessProbe, c.ReadinessProbe)
		}
		if c.LivenessProbe.GRPC.Service != "live" || c.ReadinessProbe.GRPC.Service != "ready" {
			t.Errorf("%s: probes ask for %q and %q", name, c.LivenessProbe.GRPC.Service, c.ReadinessProbe.GRPC.Service)
		}
	}
}

// The owner of a schema may drop it: what serves calls never holds that role, and no service holds another's secrets.
func TestAServiceHoldsItsOwnSecretsOnly(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"Deployment", "Job"} {
		for name, o := range objects(t, kind) {
			own := strings.TrimSuffix(name, "-migrate")
			for _, secret := range secrets(o.Spec.Template.Spec) {
				of, use, _ := strings.Cut(secret, "-")
				if of != own && (own != "reporting" || of != "vault") {
					t.Errorf("%s %s holds %s", kind, name, secret)
				}
				if (use == "owner") != (kind == "Job") {
					t.Errorf("%s %s holds %s", kind, name, secret)
				}
			}
		}
	}
}

// Who counts the promises reads every database, so it holds no address that a service or a migration holds.
func TestWhoCountsHoldsNoServicesSecrets(t *testing.T) {
	t.Parallel()
	counting := objects(t, "CronJob")
	if !slices.Equal(names(counting), []string{"promises"}) {
		t.Fatalf("cron jobs %v", names(counting))
	}
	for _, secret := range secrets(counting["promises"].Spec.Template.Spec) {
		if secret != "promises" {
			t.Errorf("the count holds %s", secret)
		}
	}
}

func secrets(p pod) []string {
	var out []string
	for _, v := range p.Volumes {
		out = append(out, v.Secret.SecretName)
	}
	for _, e := range p.Containers[0].Env {
		if name := e.ValueFrom.SecretKeyRef.Name; name != "" {
			out = append(out, name)
		}
	}
	return out
}
