package etcdstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"

	"github.com/tenure-go/tenure/store"
)

// oldest is the first version whose leases and watches keep the contract; the
// package's documentation says why. 3.6.0 has all of it.
var oldest = [3]int{3, 5, 13}

// stragglers is how much longer the other endpoints may take once one has
// answered: one that is down must not hold up who opens a store.
const stragglers = time.Second

// serverVersion is what one endpoint says that it runs.
type serverVersion struct{ endpoint, version string }

// survey asks all endpoints for their versions, and returns those that answer.
// It fails when none does.
func survey(ctx context.Context, client *clientv3.Client) ([]serverVersion, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type answer struct {
		serverVersion
		err error
	}
	endpoints := client.Endpoints()
	answers := make(chan answer)
	for _, endpoint := range endpoints {
		go func() {
			version, err := ask(ctx, client, endpoint)
			answers <- answer{serverVersion{endpoint, version}, err}
		}()
	}
	var found []serverVersion
	var refused error
	var silent []string
	for range endpoints { // all of them, so that no goroutine is left
		a := <-answers
		if a.err != nil {
			if err := failed(a.err, a.endpoint); !errors.Is(err, store.ErrUnavailable) {
				refused = err // an answer after all
			}
			silent = append(silent, a.endpoint+": "+reason(a.err))
			continue
		}
		if found = append(found, a.serverVersion); len(found) == 1 {
			defer time.AfterFunc(stragglers, cancel).Stop()
		}
	}
	switch {
	case len(found) > 0:
		slices.SortFunc(found, func(a, b serverVersion) int { return cmp.Compare(a.endpoint, b.endpoint) })
		return found, nil
	case refused != nil:
		return nil, refused
	}
	slices.Sort(silent)
	return nil, unavailable("no endpoint answers: %s", strings.Join(silent, "; "))
}

// ask asks one endpoint, and nobody else.
func ask(ctx context.Context, client *clientv3.Client, endpoint string) (string, error) {
	conn, err := client.Dial(endpoint)
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }() // nothing was written
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	res, err := pb.NewMaintenanceClient(conn).Status(ctx, &pb.StatusRequest{}, grpc.WaitForReady(true), once(cancel))
	if err != nil {
		return "", err
	}
	return res.GetVersion(), nil
}

// fit refuses servers that are too old.
func fit(found []serverVersion) error {
	var old []string
	for _, f := range found {
		if v, ok := parseVersion(f.version); !ok || slices.Compare(v[:], oldest[:]) < 0 {
			old = append(old, fmt.Sprintf("%s runs %s", f.endpoint, cmp.Or(f.version, "an unknown version")))
		}
	}
	if old == nil {
		return nil
	}
	return fmt.Errorf("%w: etcd: %s; older servers than %d.%d.%d may end leases that were renewed (etcd issue 15247): upgrade them",
		store.ErrUnsupported, strings.Join(old, ", "), oldest[0], oldest[1], oldest[2])
}

// parseVersion reads "3.5.13", and "3.6.0-rc.1" as what it leads to.
func parseVersion(text string) (v [3]int, ok bool) {
	text, _, _ = strings.Cut(text, "-")
	text, _, _ = strings.Cut(text, "+")
	_, err := fmt.Sscanf(text, "%d.%d.%d", &v[0], &v[1], &v[2])
	return v, err == nil
}
