package suite

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lianhu/lianhu/pkg/service"
	"github.com/lianhu/lianhu/services/gateway"
)

// Layout says where the replicas of each part listen, for parts that are processes of their own.
type Layout struct {
	// GRPC are the addresses of each of the five services' replicas, by name.
	GRPC map[string][]string
	// JSON are the gateway's addresses for JSON, in the order of its replicas.
	JSON []string
	// Clock is the development clock's address.
	Clock string
}

// Environment is what `lianhu serve NAME` needs, as `VARIABLE=value`, to be one replica of a part of this suite. The part is one of the
// five services, or `clock`.
func (s *Suite) Environment(l Layout, name string, replica int) ([]string, error) {
	dir, err := filepath.Abs(s.options.DistrictDir)
	if err != nil {
		return nil, err
	}
	certificate := name
	if name == "clock" {
		certificate = service.ClockName
	}
	files := s.options.Home.Service(certificate)
	env := []string{"DISTRICT_DIR=" + dir, "LIANHU_ENVIRONMENT=development"}
	set := func(variable, value string) { env = append(env, strings.ToUpper(name)+"_"+variable+"="+value) }
	set("CERTIFICATE_FILE", files.Certificate)
	set("KEY_FILE", files.Key)
	set("ROOTS_FILE", files.Roots)
	if name == "clock" {
		set("LISTEN", l.Clock)
		set("FILE", s.options.Home.Path("clock.json"))
		set("STAND_STILL", fmt.Sprint(s.options.StandStill))
		return env, nil
	}
	env = append(env, "DEV_CLOCK_ADDR="+l.Clock)
	set("LISTEN", l.GRPC[name][replica])
	set("PEERS", l.peers())
	if name == gateway.Name {
		set("LISTEN_JSON", l.JSON[replica])
		return env, nil
	}
	set("DATABASE_URL", s.databases[name].app)
	keys := map[string]string{"ROOT_KEY_FILE": "root-" + name}
	if name == "reporting" {
		set("VAULT_DATABASE_URL", s.databases["vault"].app)
		keys["VAULT_ROOT_KEY_FILE"] = "root-vault"
	}
	for variable, key := range keys {
		path, err := s.options.Home.secret(key)
		if err != nil {
			return nil, err
		}
		set(variable, path)
	}
	return env, nil
}

// peers lists all replicas of the four services.
func (l Layout) peers() string {
	var peers []string
	for _, name := range services[:4] {
		peers = append(peers, name+"="+strings.Join(l.GRPC[name], ";"))
	}
	slices.Sort(peers)
	return strings.Join(peers, ",")
}
