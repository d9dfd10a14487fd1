package embedded

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/server/v3/etcdserver/api/membership"
)

// peerTimeout bounds one question to a peer.
const peerTimeout = time.Second

// checkPeers asks the other servers whether they are of this cluster: etcd itself
// would only wait for each other's messages for ever. It says what there is to wait
// for. Servers that do not answer, or whose answer cannot be read, are waited for.
func (s *Server) checkPeers(ctx context.Context) (waits string, err error) {
	tlsConf, err := s.conf.PeerTLS.client()
	if err != nil {
		return "", fmt.Errorf("peer TLS: %w", err)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: tlsConf, DisableKeepAlives: true}}
	ctx, cancel := context.WithTimeout(ctx, peerTimeout)
	defer cancel()
	peers := s.peerURLs()
	var mu sync.Mutex
	var all sync.WaitGroup
	var away []string
	var refusals []error
	for name, url := range peers {
		all.Go(func() {
			answer, err := askPeer(ctx, client, url)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				away = append(away, fmt.Sprintf("%s (%v)", name, err))
				return
			}
			refusals = append(refusals, s.compare(name, url, answer))
		})
	}
	all.Wait()
	if err := errors.Join(refusals...); err != nil {
		return "", err
	}
	if len(away) == 0 {
		return "for etcd's election", nil
	}
	slices.Sort(away)
	return "for " + strings.Join(away, ", "), nil
}

// peerURLs are the URLs of the other servers, as the data know them.
func (s *Server) peerURLs() map[string]string {
	urls := map[string]string{}
	for _, m := range s.raft().Cluster().Members() {
		if len(m.PeerURLs) > 0 && m.ID != s.raft().MemberID() {
			urls[cmp.Or(m.Name, m.ID.String())] = m.PeerURLs[0]
		}
	}
	return urls
}

// peerAnswer is what a peer says of its cluster.
type peerAnswer struct {
	cluster string
	members []*membership.Member
}

func askPeer(ctx context.Context, client *http.Client, url string) (answer peerAnswer, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/members", http.NoBody)
	if err != nil {
		return answer, err
	}
	res, err := client.Do(req)
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return answer, op // without the words around it
	}
	if err != nil {
		return answer, err
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err := errors.Join(err, res.Body.Close()); err != nil {
		return answer, err
	}
	answer.cluster = res.Header.Get("X-Etcd-Cluster-ID")
	if res.StatusCode != http.StatusOK || answer.cluster == "" {
		return answer, fmt.Errorf("%s is no server's address for peers", url)
	}
	return answer, json.Unmarshal(body, &answer.members)
}

// compare is the error of a peer that is not of this cluster.
func (s *Server) compare(name, url string, answer peerAnswer) error {
	own := s.raft().Cluster()
	if answer.cluster == own.ID().String() {
		if !s.dir.fresh && !slices.ContainsFunc(answer.members, func(m *membership.Member) bool { return m.ID == s.raft().MemberID() }) {
			return fmt.Errorf("%w: peer %s does not know server %q any more: remove its data directory %s, and have it join", ErrRemoved, name, s.conf.Name, s.conf.Dir)
		}
		return nil
	}
	theirs := list(answer.members)
	if s.dir.fresh {
		return fmt.Errorf("%w: peer %s at %s has other peers: it has %s, and server %q has %s; give all the same list, or have this server join", ErrOtherCluster, name, url, theirs, s.conf.Name, list(own.Members()))
	}
	return fmt.Errorf("%w: peer %s at %s is of a cluster of %s, and data directory %s of one of %s; choose the directory, or the peers, of the other", ErrOtherCluster, name, url, theirs, s.conf.Dir, list(own.Members()))
}

func list(members []*membership.Member) string {
	var all []string
	for _, m := range members {
		all = append(all, cmp.Or(m.Name, "a server without a name")+"="+strings.Join(m.PeerURLs, ","))
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

func sortedNames(m map[string]string) string {
	return strings.Join(slices.Sorted(maps.Keys(m)), ", ")
}
