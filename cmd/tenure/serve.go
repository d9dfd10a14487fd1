package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/tenure-go/tenure/cmd/tenure/internal/systemd"
	"github.com/tenure-go/tenure/embedded"
)

func newServe(c *common) *cobra.Command {
	var f serveFlags
	cmd := &cobra.Command{
		Use:   "serve --name NAME --data DIR",
		Short: "Run a server of a replicated store of one's own",
		Long: `Runs a server that keeps elections, alone or as one of several: three go on when any
one of them is lost, five when two are. It prints the store to use once it serves, and
runs until it is told to stop.

One server, for a try, or where a disk that is lost may take the store with it:

    tenure serve --name a --data DIR

Three, each on its own host, all with the same list (the first waits for a second):

    tenure serve --name a --data DIR --peers a=HOST-A:2380,b=HOST-B:2380,c=HOST-C:2380 \
        --client HOST-A:2379

One more, or one in place of another that is gone for good:

    tenure serve --name d --data DIR --join HOST-B:2379 --peer HOST-D:2380 --client HOST-D:2379
    tenure serve ... --replaces a

A server that has run before knows its cluster from DIR; --peers and --join may stay.

A server listens on this host's loopback interface unless another address is given; then
it wants certificates (--client-ca, --peer-ca), or --insecure, with which everybody who
reaches it can write. It tells systemd when it serves (Type=notify). Sessions with a TTL below 2 s need a shorter --election-timeout.

` + listenHelp + ` A server leads
no election; it is ready when a majority of the servers answers it. The elections shown
are those whose stores have no PREFIX.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			conf, err := f.config(cmd.ErrOrStderr())
			if err == nil {
				err = f.listen.check()
			}
			if err != nil {
				return usage(cmd, "%w", err)
			}
			err = c.serve(cmd, &f, conf)
			if errors.Is(err, embedded.ErrInvalid) {
				return usage(cmd, "%w", err)
			}
			return err
		},
	}
	f.add(cmd)
	return cmd
}

type serveFlags struct {
	conf  embedded.Config
	peers []string
	// verbose is whether to log what etcd says.
	verbose bool
	listen  listenFlags
}

func (f *serveFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.conf.Name, "name", "", "name of this server, the same at every start")
	flags.StringVar(&f.conf.Dir, "data", "", "folder of its data, which nothing else uses")
	flags.StringSliceVar(&f.peers, "peers", nil, "servers of a new cluster, as NAME=HOST:PORT,..., this one among them")
	flags.StringSliceVar(&f.conf.Join, "join", nil, "join the running cluster of which these are client addresses")
	flags.StringVar(&f.conf.Replaces, "replaces", "", "with --join: remove this server from the cluster, for good")
	flags.StringVar(&f.conf.Client, "client", "", "address at which clients reach this server (default 127.0.0.1:2379)")
	flags.StringVar(&f.conf.Peer, "peer", "", "address at which the other servers reach it (default: that in --peers)")
	flags.StringVar(&f.conf.ListenClient, "listen-client", "", "address to listen on for clients (default: that of --client)")
	flags.StringVar(&f.conf.ListenPeer, "listen-peer", "", "address to listen on for servers (default: that of --peer)")
	for whose, t := range map[string]*embedded.TLS{"client": &f.conf.ClientTLS, "peer": &f.conf.PeerTLS} {
		flags.StringVar(&t.Cert, whose+"-cert", "", "certificate to show to "+whose+"s, a PEM file")
		flags.StringVar(&t.Key, whose+"-key", "", "its key, a PEM file")
		flags.StringVar(&t.CA, whose+"-ca", "", "authorities that must have signed the certificates of "+whose+"s, a PEM file")
	}
	flags.BoolVar(&f.conf.Insecure, "insecure", false, "listen beyond this host without asking for certificates")
	flags.DurationVar(&f.conf.ElectionTimeout, "election-timeout", 0, "how long servers do without a sign of life of their leader (default 1s)")
	flags.DurationVar(&f.conf.Retention, "retention", 0, "how long to keep the history of changes (default 5m)")
	flags.Int64Var(&f.conf.Quota, "quota", 0, "bytes that the database may have (default 2 GiB)")
	flags.IntVar(&f.conf.Priority, "priority", 0, "lead the servers rather than those of a lower priority")
	flags.BoolVarP(&f.verbose, "verbose", "v", false, "log what etcd says, too")
	f.listen.add(cmd)
}

func (f *serveFlags) config(log io.Writer) (embedded.Config, error) {
	conf := f.conf
	for _, peer := range f.peers {
		name, address, ok := strings.Cut(peer, "=")
		if !ok {
			return conf, fmt.Errorf("peer %q in --peers; want NAME=HOST:PORT", peer)
		}
		if _, ok := conf.Peers[name]; ok {
			return conf, fmt.Errorf("peer %q is named twice; give each server a name of its own", name)
		}
		if conf.Peers == nil {
			conf.Peers = map[string]string{}
		}
		conf.Peers[name] = address
	}
	level := slog.LevelInfo
	if f.verbose {
		level = slog.LevelDebug
	}
	conf.Logger = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: level}))
	return conf, nil
}

// serve runs a server until a signal, or until it fails.
func (c *common) serve(cmd *cobra.Command, f *serveFlags, conf embedded.Config) error {
	ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	notify := systemd.Start(func(err error) { conf.Logger.Warn(err.Error()) })
	defer notify.Close()
	defer context.AfterFunc(ctx, notify.Stopping)()
	site, err := f.openSite(conf)
	if err != nil {
		return err
	}
	s, err := embedded.Start(ctx, conf)
	if err != nil {
		site.close()
		if errors.Is(err, context.Canceled) && ctx.Err() != nil {
			return nil // told to stop while it waited for others
		}
		return err
	}
	err = c.serveUntil(ctx, cmd, s, site, notify)
	stop() // a second signal ends the process
	site.close()
	if closeErr := s.Close(); err == nil { // why it stopped is the error that counts
		err = closeErr
	}
	return err
}

// serveUntil tells of a server, and returns when it is to stop, or has stopped.
func (c *common) serveUntil(ctx context.Context, cmd *cobra.Command, s *embedded.Server, site *serverSite, notify *systemd.Notifier) error {
	err := site.serves(ctx, s)
	if err == nil {
		err = c.printServing(cmd, s, site)
	}
	if err != nil && ctx.Err() == nil {
		return err
	}
	notify.Status("serves")
	notify.Ready()
	select {
	case <-ctx.Done():
		return nil
	case <-s.Done():
		return s.Err()
	}
}

func (c *common) printServing(cmd *cobra.Command, s *embedded.Server, site *serverSite) error {
	url, missing := storeOf(s)
	if c.json {
		return printJSON(cmd.OutOrStdout(), servingJSON{Event: "serving", Server: s.Name(), Store: url, Listen: site.url()})
	}
	rest := ""
	if missing > 0 {
		rest = fmt.Sprintf(", and %d more that are not started yet", missing)
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s serves; use --store %s%s\n", s.Name(), url, rest)
	return err
}

type servingJSON struct {
	Event  string `json:"event"`
	Server string `json:"server"`
	Store  string `json:"store"`
	Listen string `json:"listen,omitempty"`
}

// storeOf is the URL of the store of a server's cluster, and how many of its servers are
// not in there, because they have not been started yet.
func storeOf(s *embedded.Server) (store string, missing int) {
	scheme, hosts := "etcd", []string{}
	for _, m := range s.Members() {
		u, err := url.Parse(m.Client)
		if err != nil || u.Host == "" {
			missing++
			continue
		}
		if u.Scheme == "https" {
			scheme = "etcds"
		}
		hosts = append(hosts, u.Host)
	}
	slices.Sort(hosts)
	return scheme + "://" + strings.Join(hosts, ","), missing
}
