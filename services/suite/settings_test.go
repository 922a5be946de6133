package suite_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caarlos0/env/v11"

	"github.com/lianhu/lianhu/pkg/service"
	"github.com/lianhu/lianhu/services/gateway"
	"github.com/lianhu/lianhu/services/referral"
	"github.com/lianhu/lianhu/services/registry"
	"github.com/lianhu/lianhu/services/relief"
	"github.com/lianhu/lianhu/services/reporting"
)

// Whoever runs the suite finds every setting in docs/operating.md, with the default it really has.
func TestEverySettingIsDescribed(t *testing.T) {
	t.Parallel()
	content, err := os.ReadFile(filepath.Join("..", "..", "docs", "operating.md"))
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for line := range strings.Lines(string(content)) {
		if strings.HasPrefix(line, "| `") {
			rows = append(rows, line)
		}
	}
	for prefix, config := range map[string]any{
		"REGISTRY_": &registry.Config{}, "REPORTING_": &reporting.Config{}, "REFERRAL_": &referral.Config{}, "RELIEF_": &relief.Config{},
		"GATEWAY_": &gateway.Config{}, "": &service.Shared{},
	} {
		params, err := env.GetFieldParamsWithOptions(config, env.Options{Prefix: prefix})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range params {
			if strings.HasSuffix(p.Key, "_") || p.Key == "" {
				continue // a struct that holds settings
			}
			if p.Key == prefix+"PEERS" {
				p.Required = false // the gateway's are required, the table says so in words
			}
			if !described(rows, p, prefix) {
				t.Errorf("%s (default %q, required %t) is not in the table as it is", p.Key, p.DefaultValue, p.Required)
			}
		}
	}
}

func described(rows []string, p env.FieldParams, prefix string) bool {
	value := "none"
	switch {
	case p.Required:
		value = "required"
	case p.DefaultValue != "":
		value = "`" + p.DefaultValue + "`"
	case strings.HasSuffix(p.Key, "PEERS"):
		value = ""
	}
	general := "<NAME>_" + strings.TrimPrefix(p.Key, prefix)
	for _, row := range rows {
		cells := strings.Split(row, "|")
		if strings.TrimSpace(cells[2]) == value && (strings.Contains(cells[1], "`"+p.Key+"`") || strings.Contains(cells[1], "`"+general+"`")) {
			return true
		}
	}
	return false
}
