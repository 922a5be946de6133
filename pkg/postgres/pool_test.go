package postgres_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/lianhu/lianhu/pkg/postgres"
)

// A password or a row that travels in clear text is a leak nobody sees.
func TestRequireTLSRefusesWhatMayGoWithout(t *testing.T) {
	t.Parallel()
	for given, refused := range map[string]bool{
		"postgres://u:secret@db.example:5432/x":                     true, // prefer: tries without TLS as well
		"postgres://u:secret@db.example:5432/x?sslmode=disable":     true,
		"postgres://u:secret@db.example:5432/x?sslmode=allow":       true,
		"postgres://u:secret@db.example:5432/x?sslmode=require":     false,
		"postgres://u:secret@a.example,b.example/x?sslmode=require": false,
		"postgres://u:secret@127.0.0.1:5432/x?sslmode=disable":      false, // no network reaches it
		"postgres://u:secret@/x?host=/run/postgresql":               false,
	} {
		pool, err := postgres.Open(t.Context(), given, postgres.Options{RequireTLS: true})
		if err == nil {
			pool.Close()
		}
		if (err != nil) != refused {
			t.Errorf("%s: refused %v, want %v (%v)", given, err != nil, refused, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("the refusal tells the password: %v", err)
		}
		var unwrapped interface{ Unwrap() error }
		if errors.As(err, &unwrapped) {
			t.Errorf("the refusal carries what pgx said: %v", err)
		}
	}
}
