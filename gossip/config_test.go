package gossip

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestConfigValidate(t *testing.T) {
	key := bytes.Repeat([]byte("k"), 32)
	good := Config{Cluster: "shop", Keys: [][]byte{key}}
	tests := []struct {
		name   string
		change func(*Config)
		fields []string // at fault
	}{
		{"defaults with a key", func(*Config) {}, nil},
		{"nothing", func(c *Config) { *c = Config{} }, []string{"Cluster", "Keys"}},
		{"longest cluster", func(c *Config) { c.Cluster = strings.Repeat("x", 255) }, nil},
		{"cluster too long", func(c *Config) { c.Cluster = strings.Repeat("x", 256) }, []string{"Cluster"}},
		{"loopback needs no key", func(c *Config) { c.Keys, c.Bind = nil, "127.0.0.1:0" }, nil},
		{"localhost needs no key", func(c *Config) { c.Keys, c.Bind = nil, "localhost:7960" }, nil},
		{"::1 needs no key", func(c *Config) { c.Keys, c.Bind = nil, "[::1]:0" }, nil},
		{"all of loopback", func(c *Config) { c.Keys, c.Bind = nil, "127.9.9.9:0" }, nil},
		{"beyond loopback", func(c *Config) { c.Keys, c.Bind = nil, "10.0.0.1:7960" }, []string{"Keys"}},
		{"all interfaces", func(c *Config) { c.Keys, c.Bind = nil, ":7960" }, []string{"Keys"}},
		{"unspecified", func(c *Config) { c.Keys, c.Bind = nil, "0.0.0.0:7960" }, []string{"Keys"}},
		{"plaintext allowed", func(c *Config) { c.Keys, c.AllowPlaintext = nil, true }, nil},
		{"bind without port", func(c *Config) { c.Bind = "127.0.0.1" }, []string{"Bind"}},
		{"bind to a name", func(c *Config) { c.Bind = "db.example:7960" }, []string{"Bind"}},
		{"bind to a bad port", func(c *Config) { c.Bind = "127.0.0.1:70000" }, []string{"Bind"}},
		{"bind to a scope", func(c *Config) { c.Bind = "[fe80::1%eth0]:7960" }, []string{"Bind"}},
		{"advertise ip", func(c *Config) { c.Advertise = "10.1.2.3" }, nil},
		{"advertise ipv6", func(c *Config) { c.Advertise = "fd00::1" }, nil},
		{"advertise ip and port", func(c *Config) { c.Advertise = "[fd00::1]:31000" }, nil},
		{"advertise a name", func(c *Config) { c.Advertise = "pod:7960" }, []string{"Advertise"}},
		{"advertise everything", func(c *Config) { c.Advertise = "0.0.0.0:7960" }, []string{"Advertise"}},
		{"advertise a bad port", func(c *Config) { c.Advertise = "10.0.0.1:x" }, []string{"Advertise"}},
		{"seeds", func(c *Config) { c.Seeds = []string{"10.0.0.1:7960", "dns+shop:7960", "dnssrv+_g._udp.shop"} }, nil},
		{"bad seeds", func(c *Config) { c.Seeds = []string{"10.0.0.1", "shop:7960", "dnssrv+"} }, []string{"Seeds[0]", "Seeds[2]"}},
		{"too many seeds", func(c *Config) { c.Seeds = slices.Repeat([]string{"a:1"}, 65) }, []string{"Seeds"}},
		{"key lengths", func(c *Config) { c.Keys = [][]byte{key, key[:24], key[:16], key[:15], nil} }, []string{"Keys[3]", "Keys[4]"}},
		{"longest zone", func(c *Config) { c.Zone = strings.Repeat("z", 64) }, nil},
		{"zone too long", func(c *Config) { c.Zone = strings.Repeat("z", 65) }, []string{"Zone"}},
		{"zone not UTF-8", func(c *Config) { c.Zone = "\xff" }, []string{"Zone"}},
		{"members", func(c *Config) { c.MaxMembers = -1 }, []string{"MaxMembers"}},
		{"seeds required but none", func(c *Config) { c.RequireSeeds = true }, []string{"RequireSeeds"}},
		{"seeds required but not awaited", func(c *Config) {
			c.RequireSeeds, c.Seeds, c.JoinTimeout = true, []string{"a:1"}, -1
		}, []string{"JoinTimeout"}},
		{"all at once", func(c *Config) {
			*c = Config{Bind: "x", Advertise: "y", Seeds: []string{"z"}, Keys: [][]byte{{1}}, Zone: "\xff", MaxMembers: -1}
		}, []string{"Cluster", "Bind", "Advertise", "Seeds[0]", "Keys[0]", "Zone", "MaxMembers"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := good
			test.change(&c)
			err := c.Validate()
			var fields []string
			for _, e := range faults(err) {
				fields = append(fields, e.Field)
				if e.Problem == "" || !strings.HasPrefix(e.Error(), "gossip: Config."+e.Field+": ") {
					t.Errorf("error %q", e)
				}
			}
			if !slices.Equal(fields, test.fields) {
				t.Errorf("faults %q, want %q: %v", fields, test.fields, err)
			}
			if err != nil {
				if _, err := Join(t.Context(), c); len(faults(err)) != len(test.fields) {
					t.Errorf("Join: %v", err)
				}
			}
		})
	}
}

func faults(err error) (all []*ConfigError) {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range many.Unwrap() {
			all = append(all, faults(e)...)
		}
		return all
	}
	var e *ConfigError
	if errors.As(err, &e) {
		all = append(all, e)
	}
	return all
}

func TestConfigIsCopied(t *testing.T) {
	c := Config{Cluster: "test", Seeds: []string{"a:1"}, Keys: [][]byte{bytes.Repeat([]byte("k"), 16)}}
	p := c.private()
	c.Seeds[0], c.Keys[0][0] = "b:2", 'x'
	if p.Seeds[0] != "a:1" || p.Keys[0][0] != 'k' {
		t.Error("the member shares its config with the caller")
	}
	if p.Bind != DefaultBind || p.RejoinInterval != DefaultRejoinInterval || p.JoinTimeout <= 0 || p.Logger == nil {
		t.Errorf("defaults %+v", p)
	}
}
