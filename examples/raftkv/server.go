package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"

	"github.com/tenure-go/tenure/raftlead"
)

// server is one of the three.
type server struct {
	config
	kv      *kv
	raft    *raft.Raft
	elector *raftlead.Elector
	files   []io.Closer

	term  atomic.Pointer[raftlead.Leadership] // the last of this server's
	asked sync.WaitGroup                      // who waits for raft to apply a command
	work  func(context.Context, *raftlead.Leadership) error
}

// open starts raft, over what it has left in the directory or as one of a new cluster, and an
// Elector over it.
func open(ctx context.Context, c config) (_ *server, err error) {
	s := &server{config: c, kv: newKV()}
	s.work = s.sweep
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return nil, err
	}
	logFile, err := os.OpenFile(filepath.Join(c.dir, "raft.log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	s.files = append(s.files, logFile)
	logger := hclog.New(&hclog.LoggerOptions{Name: string(c.id), Level: hclog.Debug, Output: logFile})

	tcp, err := raft.NewTCPTransportWithConfig(string(c.peers[c.id].raft), nil, &raft.NetworkTransportConfig{
		ServerAddressProvider: c.reach,
		Logger:                logger,
		MaxPool:               3,
		// No pipelines: one of raft v1.7.3 may wait for ever for an answer that nobody reads any more, when a
		// follower has refused something, and with it Shutdown (github.com/hashicorp/raft/issues/612).
		MaxRPCsInFlight: 1,
		Timeout:         2 * c.heartbeat, // a connection that answers nothing is tried anew after that
	})
	if err != nil {
		return nil, err
	}
	// The Witness sees each answer to a heartbeat go by. Raft must be given its transport: without
	// that nobody could tell until when a quorum follows this server.
	witness := raftlead.NewWitness(inTurn{tcp})
	s.raft, err = s.startRaft(ctx, witness.Transport(), logger)
	if err != nil {
		return nil, errors.Join(err, tcp.Close())
	}
	s.elector, err = raftlead.New(s.raft, c.id, witness, raftlead.Options{
		Logger: slog.New(slog.NewTextHandler(logFile, nil)),
	})
	return s, err
}

// inTurn is a transport that gives raft heartbeats in turn with all else. TCP's own calls raft for each, beside
// its main loop. One that comes just when a follower stands for election may leave that a candidate that
// takes the old leader for the present one, and refuses its vote to all others: when that leader is cut off
// then, the other two may elect nobody, for as long as it is. TestPartitions has seen that, on a busy machine.
//
// Heartbeats wait for writes to the log now, which are short here. Who has to restore large snapshots
// must weigh that: a server does not answer meanwhile.
type inTurn struct{ *raft.NetworkTransport }

// SetHeartbeatHandler implements raft.Transport.
func (inTurn) SetHeartbeatHandler(func(raft.RPC)) {}

func (s *server) startRaft(ctx context.Context, transport raft.Transport, logger hclog.Logger) (*raft.Raft, error) {
	store, err := raftboltdb.New(raftboltdb.Options{Path: filepath.Join(s.dir, "raft.db")})
	if err != nil {
		return nil, err
	}
	s.files = append(s.files, store)
	snapshots, err := raft.NewFileSnapshotStoreWithLogger(s.dir, 2, logger)
	if err != nil {
		return nil, err
	}
	conf := raft.DefaultConfig()
	conf.LocalID, conf.Logger = s.id, logger
	conf.HeartbeatTimeout, conf.ElectionTimeout, conf.LeaderLeaseTimeout = s.heartbeat, s.heartbeat, s.heartbeat
	known, err := raft.HasExistingState(store, store, snapshots)
	if err != nil {
		return nil, err
	}
	if !known { // every server of a new cluster may do that, because all say the same
		if err := raft.BootstrapCluster(conf, store, store, snapshots, transport, s.peers.configuration()); err != nil {
			return nil, err
		}
	}
	// A server that died may have promised a leader, a moment before, to elect nobody else for a
	// HeartbeatTimeout. It has forgotten that, so it keeps it by not being there.
	if !pause(ctx, conf.HeartbeatTimeout) {
		return nil, context.Cause(ctx)
	}
	return raft.NewRaft(conf, s.kv, store, store, snapshots, transport)
}

func (p peers) configuration() (c raft.Configuration) {
	for id, at := range p {
		c.Servers = append(c.Servers, raft.Server{ID: id, Address: at.raft})
	}
	return c
}

// serve answers clients, and leads when it is elected, until ctx ends. It closes the server.
func (s *server) serve(ctx context.Context) error {
	listener, err := net.Listen("tcp", s.peers[s.id].http)
	if err != nil {
		return errors.Join(err, s.close())
	}
	web := &http.Server{Handler: http.TimeoutHandler(s.handler(), 10*s.heartbeat, "timed out"), ReadHeaderTimeout: s.heartbeat}
	served := make(chan error, 1)
	go func() { served <- web.Serve(listener) }()

	campaign, passOn := context.WithCancel(context.WithoutCancel(ctx))
	led := make(chan struct{})
	go func() {
		defer close(led)
		s.campaign(campaign)
	}()
	s.say("is there")

	select {
	case <-ctx.Done():
	case err = <-served: // not before it is told to, but for an error
		served <- err
	}
	// First the clients, who would not be answered by who does not lead any more; then the leadership,
	// which raft must still be there to pass on; then raft.
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*s.heartbeat)
	err = errors.Join(web.Shutdown(bounded), web.Close())
	cancel()
	if cause := <-served; !errors.Is(cause, http.ErrServerClosed) {
		err = errors.Join(err, cause)
	}
	passOn()
	<-led
	s.say("stops")
	return errors.Join(err, s.close())
}

// close ends what open has started.
func (s *server) close() error {
	var errs []error
	if s.elector != nil {
		s.elector.Close()
	}
	if s.raft != nil {
		s.asked.Wait() // who does not lead has answered
		errs = append(errs, s.raft.Shutdown().Error())
	}
	for _, f := range s.files {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}

// apply has a command applied, and returns what the state machine answers. When ctx ends before that,
// it is not known whether it will be.
func (s *server) apply(ctx context.Context, c command) error {
	data, err := json.Marshal(c)
	if err != nil {
		return err
	}
	f := s.raft.Apply(data, s.heartbeat)
	applied := make(chan error, 1)
	s.asked.Go(func() { // until raft has applied it, or does not lead any more
		err := f.Error()
		if refused, ok := f.Response().(error); err == nil && ok {
			err = refused
		}
		applied <- err
	})
	select {
	case err := <-applied:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (s *server) say(format string, args ...any) {
	say("%s (pid %d) %s", s.id, os.Getpid(), fmt.Sprintf(format, args...))
}
