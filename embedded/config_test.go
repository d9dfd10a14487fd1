package embedded_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tenure-go/tenure/embedded"
	"github.com/tenure-go/tenure/internal/etcdtest"
)

func TestConfigurationsThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	certs, err := etcdtest.NewCerts(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	others, err := etcdtest.NewCerts(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	good := embedded.TLS{Cert: certs.Server, Key: certs.ServerKey, CA: certs.CA}
	three := map[string]string{"a": "127.0.0.1:1", "b": "127.0.0.1:2", "c": "127.0.0.1:3"}
	for name, tt := range map[string]struct {
		spoil func(*embedded.Config)
		want  string
	}{
		"no name":                   {func(c *embedded.Config) { c.Name = "" }, "no name"},
		"name with a slash":         {func(c *embedded.Config) { c.Name = "a/b" }, `"a/b"; want letters`},
		"name with an equals sign":  {func(c *embedded.Config) { c.Name = "a=b" }, "want letters"},
		"long name":                 {func(c *embedded.Config) { c.Name = strings.Repeat("x", 65) }, "65 bytes; the limit is 64"},
		"no directory":              {func(c *embedded.Config) { c.Dir = "" }, "no data directory"},
		"address without a port":    {func(c *embedded.Config) { c.Client = "127.0.0.1" }, `client address "127.0.0.1" is none; want host:port`},
		"address with port 0":       {func(c *embedded.Config) { c.Client = "127.0.0.1:0" }, "has no port"},
		"address of nobody":         {func(c *embedded.Config) { c.Client = "0.0.0.0:2379" }, "no address that others can reach"},
		"listens at a name":         {func(c *embedded.Config) { c.ListenClient = "example.org:2379" }, "is a name"},
		"own name not among peers":  {func(c *embedded.Config) { c.Name, c.Peers = "d", three }, `the peers are a, b, c, and this server is "d"`},
		"two peers at one address":  {func(c *embedded.Config) { c.Peers = map[string]string{"a": "127.0.0.1:1", "b": "127.0.0.1:1"} }, "peers a and b have the same address, 127.0.0.1:1"},
		"peer without a port":       {func(c *embedded.Config) { c.Peers = map[string]string{"a": "127.0.0.1:1", "b": "127.0.0.1"} }, "address of peer b"},
		"two peer addresses":        {func(c *embedded.Config) { c.Peers, c.Peer = three, "127.0.0.1:9" }, "give it once"},
		"peers and join":            {func(c *embedded.Config) { c.Peers, c.Join = three, []string{"127.0.0.1:1"} }, "give one of them"},
		"join without peer address": {func(c *embedded.Config) { c.Join = []string{"127.0.0.1:1"} }, "without an address for its peers"},
		"replaces without join":     {func(c *embedded.Config) { c.Replaces = "b" }, "joins no cluster"},
		"replaces itself":           {func(c *embedded.Config) { c.Replaces, c.Join = "a", []string{"127.0.0.1:1"} }, "cannot replace itself"},
		"short election timeout":    {func(c *embedded.Config) { c.ElectionTimeout = time.Millisecond }, "an election timeout of 1ms; it is 100ms to 50s"},
		"short retention":           {func(c *embedded.Config) { c.Retention = time.Second }, "the shortest is 1m0s"},
		"small quota":               {func(c *embedded.Config) { c.Quota = 1 }, "the least is"},
		"serves strangers":          {func(c *embedded.Config) { c.Client = "192.0.2.1:2379" }, "anybody could write"},
		"serves strangers over TLS": {func(c *embedded.Config) { c.Client = "192.0.2.1:2379"; c.ClientTLS = good; c.ClientTLS.CA = "" }, "anybody could write"},
		"strange peers":             {func(c *embedded.Config) { c.Peer = "192.0.2.1:2380" }, "listens for peers at 192.0.2.1:2380"},
		"peers by name, everywhere": {func(c *embedded.Config) { c.Peer = "host-a:2380" }, "listens for peers at 0.0.0.0:2380"},
		"half a pair":               {func(c *embedded.Config) { c.ClientTLS.Cert = certs.Server }, "both a certificate and its key"},
		"peer TLS without a CA":     {func(c *embedded.Config) { c.PeerTLS = embedded.TLS{Cert: certs.Server, Key: certs.ServerKey} }, "peer TLS without a CA"},
		"missing file":              {func(c *embedded.Config) { c.ClientTLS = good; c.ClientTLS.Key = "/none.pem" }, "no such file"},
		"CA without certificates":   {func(c *embedded.Config) { c.ClientTLS = good; c.ClientTLS.CA = certs.ServerKey }, "no certificate in"},
		"certificate of yesterday": {func(c *embedded.Config) {
			c.PeerTLS = good
			c.PeerTLS.Cert, c.PeerTLS.Key = certs.Expired, certs.ExpiredKey
		}, "has expired at"},
		"signed by somebody else": {func(c *embedded.Config) { c.PeerTLS = good; c.PeerTLS.CA = others.CA }, "unknown authority"},
		"not for a server": {func(c *embedded.Config) {
			c.ClientTLS = good
			c.ClientTLS.Cert, c.ClientTLS.Key = certs.Client, certs.ClientKey
		}, "as that of a server"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conf := config(t, "a")
			tt.spoil(&conf)
			s, err := embedded.Start(t.Context(), conf)
			if err == nil {
				_ = s.Close() // it should not have started
			}
			if !errors.Is(err, embedded.ErrInvalid) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an ErrInvalid that says %q", err, tt.want)
			}
		})
	}
}
