package postgres

import (
	"errors"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// Constraint is the name of the violated constraint (SQLSTATE class 23), or empty when err is something else. Nothing but
// the name may be used: PostgreSQL's Detail holds the row's values.
func Constraint(err error) string {
	var e *pgconn.PgError
	if !errors.As(err, &e) || !strings.HasPrefix(e.Code, "23") {
		return ""
	}
	return e.ConstraintName
}

// IsSerialization reports a deadlock or a serialization failure: nothing was done and trying again is right.
func IsSerialization(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && (e.Code == "40001" || e.Code == "40P01")
}

// IsConnection reports that the database is away, went away before it answered, or lacks what it needs - a connection, memory, room on its
// disk - and may have it again later. Whether a statement took effect is then unknown, and only a look at the idempotency row tells.
func IsConnection(err error) bool {
	var connect *pgconn.ConnectError
	connecting := errors.As(err, &connect)
	var e *pgconn.PgError
	if errors.As(err, &e) {
		switch {
		case strings.HasPrefix(e.Code, "28"), e.Code == "3D000":
			return false // a wrong password or database does not pass by itself
		case connecting, strings.HasPrefix(e.Code, "08"), strings.HasPrefix(e.Code, "53"), e.Code == "57P01", e.Code == "57P02", e.Code == "57P03":
			return true
		}
		return false
	}
	var network net.Error
	return connecting || errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, net.ErrClosed) || strings.Contains(err.Error(), "conn closed")
}

// Sanitize gives an error that may be logged and passed on: SQLSTATE and the constraint's name, never Message or Detail, which
// can hold values of the row. Errors that are not PostgreSQL's own are returned as they are.
func Sanitize(err error) error {
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		return err
	}
	text := "database error " + e.Code
	if e.ConstraintName != "" {
		text += " on " + e.ConstraintName
	}
	return errors.New(text)
}
