package service_test

import (
	"strings"
	"testing"

	"github.com/lianhu/lianhu/pkg/service"
)

// required are the settings without which no service starts.
func required() map[string]string {
	return map[string]string{
		"DESK_DATABASE_URL": "postgres://desk@localhost/desk", "DESK_CERTIFICATE_FILE": "c.pem", "DESK_KEY_FILE": "c.key",
		"DESK_ROOTS_FILE": "ca.pem", "DESK_ROOT_KEY_FILE": "root", "DISTRICT_DIR": "district",
	}
}

// parse reads the configuration under the required settings but the one to leave out, and under more.
func parse(t *testing.T, leave string, more map[string]string) (service.Config, error) {
	t.Helper()
	for name, value := range required() {
		if name != leave {
			t.Setenv(name, value)
		}
	}
	for name, value := range more {
		t.Setenv(name, value)
	}
	var c service.Config
	err := service.ParseConfig("DESK", &c, &c.Shared)
	return c, err
}

// Not parallel: it sets the process's environment.
func TestAConfigurationIsReadWithItsDefaults(t *testing.T) {
	c, err := parse(t, "", map[string]string{"DESK_PEERS": "registry=registry:8443,relief=10.0.0.1:1;10.0.0.2:1"})
	if err != nil {
		t.Fatal(err)
	}
	if c.MaxConns != 10 || c.Listen != ":8443" || !c.Shared.Production() {
		t.Errorf("defaults: %d connections, listen %s, production %t", c.MaxConns, c.Listen, c.Shared.Production())
	}
	if c.Peers["relief"] != "10.0.0.1:1;10.0.0.2:1" || c.Peers["registry"] != "registry:8443" {
		t.Errorf("peers %v", c.Peers)
	}
}

// One file of settings serves `lianhu migrate` and `lianhu serve`. What neither knows still stops the start, and so does an owner's URL for a
// service that has no database.
func TestWhatMigrateTakesDoesNotStopAService(t *testing.T) {
	owner := map[string]string{"DESK_OWNER_DATABASE_URL": "postgres://owner@localhost/desk"}
	if _, err := parse(t, "", owner); err != nil {
		t.Errorf("refused: %v", err)
	}
	if _, err := parse(t, "", map[string]string{"DESK_OWNER_DATABASE_URI": "postgres://owner@localhost/desk"}); err == nil {
		t.Error("a misspelt setting of migrate is taken")
	}
	t.Setenv("DOOR_OWNER_DATABASE_URL", "postgres://owner@localhost/door")
	var door struct{}
	var shared service.Shared
	if err := service.ParseConfig("DOOR", &door, &shared); err == nil {
		t.Error("a service without a database takes an owner's URL")
	}
}

// Whoever made the setting believes it to be in force; a start that ignores it would be worse than none.
func TestASettingThatCannotBeTakenStopsTheStart(t *testing.T) {
	for name := range required() {
		t.Run("without "+name, func(t *testing.T) {
			if _, err := parse(t, name, nil); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("got %v, want an error that names the setting", err)
			}
		})
	}
	for name, more := range map[string]map[string]string{
		"misspelt":                      {"DESK_MAX_CONN": "5"},
		"malformed":                     {"DESK_MAX_CONNS": "many"},
		"an environment nobody knows":   {"LIANHU_ENVIRONMENT": "staging"},
		"a steered clock in production": {"DEV_CLOCK_ADDR": "localhost:1"},
		"production, said, and a clock": {"LIANHU_ENVIRONMENT": "production", "DEV_CLOCK_ADDR": "localhost:1"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := parse(t, "", more); err == nil {
				t.Error("the start goes on")
			}
		})
	}
	if _, err := parse(t, "", map[string]string{"LIANHU_ENVIRONMENT": "development", "DEV_CLOCK_ADDR": "localhost:1"}); err != nil {
		t.Errorf("development refuses its clock: %v", err)
	}
}
