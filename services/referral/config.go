package referral

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/lianhu/lianhu/pkg/feed"
	"github.com/lianhu/lianhu/pkg/identity"
)

// Config of the service. ConfigFromEnv reads it; whoever runs several services in one process fills it in.
type Config struct {
	// DatabaseURL of the application role. REFERRAL_DATABASE_URL.
	DatabaseURL string
	// Listen is the address to answer on, host:port. REFERRAL_LISTEN.
	Listen string
	// Certificate files of service/referral. REFERRAL_CERTIFICATE, REFERRAL_KEY, REFERRAL_ROOTS.
	Certificate identity.Files
	// SealKey is the file with the root key of seal. REFERRAL_SEAL_KEY.
	SealKey string
	// District is the folder of the district package. DISTRICT_DIR.
	District string
	// Reporting and Relief are the addresses of the services followed. REPORTING_ADDR, RELIEF_ADDR.
	Reporting, Relief string
	// Production refuses the development authority. LIANHU_PRODUCTION, `true` or unset.
	Production bool

	// Version of the binary, for GetVersion.
	Version string
	// Now is the business clock.
	Now func() time.Time
	// Feed limits; the zero value means the defaults.
	Feed feed.Limits
}

// ConfigFromEnv reads the configuration with getenv. It names everything that is missing at once.
func ConfigFromEnv(getenv func(string) string) (Config, error) {
	var missing []string
	required := func(name string) string {
		value := getenv(name)
		if value == "" {
			missing = append(missing, name)
		}
		return value
	}
	c := Config{
		DatabaseURL: required("REFERRAL_DATABASE_URL"),
		Listen:      required("REFERRAL_LISTEN"),
		Certificate: identity.Files{
			Certificate: required("REFERRAL_CERTIFICATE"), Key: required("REFERRAL_KEY"), Roots: required("REFERRAL_ROOTS"),
		},
		SealKey:   required("REFERRAL_SEAL_KEY"),
		District:  required("DISTRICT_DIR"),
		Reporting: required("REPORTING_ADDR"),
		Relief:    required("RELIEF_ADDR"),
	}
	switch getenv("LIANHU_PRODUCTION") {
	case "":
	case "true":
		c.Production = true
	default:
		return Config{}, errors.New("referral: LIANHU_PRODUCTION must be true or unset")
	}
	if len(missing) > 0 {
		return Config{}, fmt.Errorf("referral: not set: %s", strings.Join(missing, ", "))
	}
	return c, nil
}
