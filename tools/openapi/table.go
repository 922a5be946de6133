package main

import (
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// table is what this command reads of districts/…/access.yaml.
type table struct {
	Purposes []struct{ Code string }
	Roles    []struct{ Code, Zh string }
	Rules    []struct {
		Action   string
		Roles    []string
		Purposes []string
	}
}

func readTable(name string) (*table, error) {
	raw, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	t := &table{}
	return t, yaml.Unmarshal(raw, t)
}

// allowed gives the roles and the purposes of an action, in the table's order. The suite's own services are left out: no partner is one of them.
func (t *table) allowed(action string) (roles, purposes []string) {
	subject, _, _ := strings.Cut(action, ".")
	role, purpose := map[string]bool{}, map[string]bool{}
	for _, rule := range t.Rules {
		if rule.Action != action && rule.Action != subject+".*" {
			continue
		}
		outside := slices.DeleteFunc(slices.Clone(rule.Roles), func(code string) bool { return code == "service" })
		for _, code := range outside {
			role[code] = true
		}
		for _, code := range rule.Purposes {
			purpose[code] = purpose[code] || len(outside) > 0
		}
	}
	for _, r := range t.Roles {
		if role[r.Code] {
			roles = append(roles, r.Code)
		}
	}
	for _, p := range t.Purposes {
		if purpose[p.Code] || purpose["any"] {
			purposes = append(purposes, p.Code)
		}
	}
	return roles, purposes
}
