package embedded_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tenure-go/tenure/embedded"
	"github.com/tenure-go/tenure/internal/etcdtest"
)

// refused fails unless a start fails with an error that says what it should.
func refused(t *testing.T, conf embedded.Config, want error, says ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s, err := embedded.Start(ctx, conf)
	if err == nil {
		_ = s.Close() // it should not have started
	}
	if !errors.Is(err, want) {
		t.Fatalf("got %v, want %v", err, want)
	}
	for _, s := range says {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("%v\ndoes not say %q", err, s)
		}
	}
}

func stop(t *testing.T, s *embedded.Server) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestADirectoryIsOneServers(t *testing.T) {
	t.Parallel()
	conf := config(t, "a")
	s := start(t, conf)
	second := config(t, "a")
	second.Dir = conf.Dir
	refused(t, second, embedded.ErrInUse, conf.Dir, "stop the other process")
	stop(t, s)
	other := config(t, "b")
	other.Dir = conf.Dir
	refused(t, other, embedded.ErrOtherCluster, `that of server "a"`, `this is "b"`)
	lead(t, start(t, conf))
}

func TestADirectoryOfAnEtcdServer(t *testing.T) {
	t.Parallel()
	conf := config(t, "a")
	stop(t, start(t, conf))
	if err := os.Remove(filepath.Join(conf.Dir, "tenure.json")); err != nil {
		t.Fatal(err)
	}
	refused(t, conf, embedded.ErrOtherCluster, "that of an etcd server")
}

// A server that was alone, and is started with the list of a cluster, would go on alone.
func TestADirectoryOfAnotherCluster(t *testing.T) {
	t.Parallel()
	confs := trio(t)
	alone := confs[0]
	alone.Peers = nil
	stop(t, start(t, alone))
	refused(t, confs[0], embedded.ErrOtherCluster, alone.Dir, "is of a cluster of a=", "the peers are a, b, c", "have new servers join")
}

// A cluster knows a server, whose data are gone.
func TestADirectoryThatWasLost(t *testing.T) {
	t.Parallel()
	confs := trio(t)
	servers := startAll(t, confs)
	stop(t, servers[2])
	lost := confs[2]
	lost.Dir = filepath.Join(t.TempDir(), "new")
	refused(t, lost, embedded.ErrOtherCluster, `knows server "c"`, lost.Dir, "in place of it")
}

// Who has the answer of the other first does not start; which of the two that is, is
// chance.
func TestPeerListsThatDisagree(t *testing.T) {
	t.Parallel()
	confs := trio(t)
	lists := addresses(t, 1)
	confs[1].Peers = map[string]string{"a": confs[0].Peers["a"], "b": confs[0].Peers["b"], "c": lists[0]}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ends := make(chan error, 2)
	for _, conf := range confs[:2] {
		go func() {
			s, err := embedded.Start(ctx, conf)
			if err == nil {
				_ = s.Close() // it should not have started
			}
			ends <- err
		}()
	}
	first := <-ends
	cancel()
	if err := <-ends; !errors.Is(err, context.Canceled) && !errors.Is(err, embedded.ErrOtherCluster) {
		t.Errorf("the second: %v", err)
	}
	if !errors.Is(first, embedded.ErrOtherCluster) {
		t.Fatalf("the first: %v", first)
	}
	for _, says := range []string{"has other peers", "c=http://" + confs[0].Peers["c"], "c=http://" + lists[0]} {
		if !strings.Contains(first.Error(), says) {
			t.Errorf("%v\ndoes not say %q", first, says)
		}
	}
}

func TestAddressesInUse(t *testing.T) {
	t.Parallel()
	s := start(t, config(t, "a"))
	_, address, _ := strings.Cut(s.Endpoint(), "://")
	client := config(t, "b")
	client.Client = address
	refused(t, client, embedded.ErrInUse, address, "choose another address")
	peer := config(t, "c")
	peer.Peer = address
	refused(t, peer, embedded.ErrInUse, address)
}

// Nobody waits longer than he wants to, and is told for what.
func TestOneOfThreeWaitsForTheOthers(t *testing.T) {
	t.Parallel()
	confs := trio(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err := embedded.Start(ctx, confs[0])
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "for b (") || !strings.Contains(err.Error(), "c (") {
		t.Fatal(err)
	}
	// What it left is the beginning of the cluster.
	lead(t, startAll(t, confs)[0])
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	certs, err := etcdtest.NewCerts(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	confs := trio(t)
	for i := range confs {
		confs[i].ClientTLS = embedded.TLS{Cert: certs.Server, Key: certs.ServerKey, CA: certs.CA}
		confs[i].PeerTLS = confs[i].ClientTLS
	}
	for _, s := range startAll(t, confs) {
		lead(t, s)
	}
}

// One server of three is lost for good, and another takes its place.
func TestAServerIsReplaced(t *testing.T) {
	t.Parallel()
	confs := trio(t)
	servers := startAll(t, confs)
	token := lead(t, servers[0])
	stop(t, servers[2])
	conf := joining(t, "d", confs[:2])
	conf.Replaces = "x"
	refused(t, conf, embedded.ErrNoServer, `"x"`, "there are a, b, c")
	conf.Replaces = "c"
	d := start(t, conf)
	var names []string
	for _, m := range d.Members() {
		names = append(names, m.Name)
		if !m.Voter {
			t.Errorf("%s is no full member", m.Name)
		}
	}
	if !slices.Equal(names, []string{"a", "b", "d"}) {
		t.Errorf("members: %v", names)
	}
	// What it replaces does not come back.
	refused(t, confs[2], embedded.ErrRemoved, "remove its data directory", confs[2].Dir)
	// The list of the first start may stay, whoever has the address of c now, and the
	// cluster does without any one again.
	stranger := config(t, "x")
	stranger.Peer = confs[2].Peers["c"]
	start(t, stranger)
	stop(t, servers[0])
	if next := lead(t, d); next <= token {
		t.Errorf("token %d after %d", next, token)
	}
	lead(t, start(t, confs[0]))
	stop(t, d)
	lead(t, start(t, conf))
}

// joining is the configuration of a server that joins others.
func joining(t *testing.T, name string, others []embedded.Config) embedded.Config {
	t.Helper()
	conf := config(t, name)
	conf.Peer = addresses(t, 1)[0]
	for _, o := range others {
		conf.Join = append(conf.Join, o.Client)
	}
	return conf
}

// A cluster of one grows to three while it serves.
func TestServersJoinOne(t *testing.T) {
	t.Parallel()
	conf := config(t, "a")
	conf.Peer = addresses(t, 1)[0]
	a := start(t, conf)
	token := lead(t, a)
	b := start(t, joining(t, "b", []embedded.Config{conf}))
	c := start(t, joining(t, "c", []embedded.Config{conf}))
	stop(t, a)
	for _, s := range []*embedded.Server{b, c} {
		next := lead(t, s)
		if next <= token {
			t.Errorf("token %d after %d", next, token)
		}
		token = next
	}
}

// Who joins where it is already, or where a server of its name is, is told so.
func TestJoiningTwice(t *testing.T) {
	t.Parallel()
	conf := config(t, "a")
	conf.Peer = addresses(t, 1)[0]
	start(t, conf)
	same := joining(t, "a", []embedded.Config{conf})
	refused(t, same, embedded.ErrInUse, `a server "a" already`)
	at := joining(t, "b", []embedded.Config{conf})
	at.Peer = conf.Peer
	at.ListenPeer = addresses(t, 1)[0]
	refused(t, at, embedded.ErrInUse, "has the peer address", conf.Peer)
	nobody := joining(t, "b", nil)
	nobody.Join = addresses(t, 1)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := embedded.Start(ctx, nobody); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "join "+nobody.Join[0]) {
		t.Errorf("join nobody: %v", err)
	}
}

func TestTheLeaderMoves(t *testing.T) {
	t.Parallel()
	servers := startAll(t, trio(t))
	from := servers[slices.IndexFunc(servers, func(s *embedded.Server) bool { return s.Leader() == s.Name() })]
	to := servers[slices.IndexFunc(servers, func(s *embedded.Server) bool { return s != from })]
	if err := from.MoveLeader(t.Context(), "x"); !errors.Is(err, embedded.ErrNoServer) {
		t.Error(err)
	}
	if err := from.MoveLeader(t.Context(), to.Name()); err != nil {
		t.Fatal(err)
	}
	if from.Leader() != to.Name() {
		t.Errorf("etcd's leader is %q", from.Leader())
	}
	if err := from.MoveLeader(t.Context(), from.Name()); err == nil {
		t.Error("who is not the leader moved it")
	}
}
