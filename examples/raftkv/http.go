package main

import (
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/hashicorp/raft"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/raftlead"
)

// maxValue is how long a value may be.
const maxValue = 1 << 20

func (s *server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /kv/{key}", s.leading(s.get))
	mux.HandleFunc("PUT /kv/{key}", s.authorized(s.leading(s.put)))
	mux.HandleFunc("GET /status", s.status)
	return mux
}

// authorized refuses who does not know the token of the service.
func (s *server) authorized(handle http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if subtle.ConstantTimeCompare([]byte(token), []byte(s.token)) != 1 {
			http.Error(w, "writes need the token of the service: Authorization: Bearer TOKEN", http.StatusUnauthorized)
			return
		}
		handle(w, r)
	}
}

// leading has the server that leads handle a request: this one, in its term, or it sends
// the client to another.
func (s *server) leading(handle func(http.ResponseWriter, *http.Request, *raftlead.Leadership)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if term := s.term.Load(); term != nil && term.Held() {
			handle(w, r, term)
			return
		}
		now := s.elector.Now()
		if leader, ok := s.peers[now.Leader]; ok && now.Leader != s.id {
			http.Redirect(w, r, "http://"+leader.http+r.URL.RequestURI(), http.StatusTemporaryRedirect)
			return
		}
		unavailable(w, "no server leads")
	}
}

// get answers with the latest value. That nobody else leads is asked of a quorum, after the client
// has asked; so there is no newer value that a client could have been told of.
func (s *server) get(w http.ResponseWriter, r *http.Request, term *raftlead.Leadership) {
	if err := term.Verify(r.Context()); err != nil {
		unavailable(w, err.Error())
		return
	}
	value, ok := s.kv.get(r.PathValue("key"), time.Now())
	if !ok {
		http.Error(w, "no such key", http.StatusNotFound)
		return
	}
	_, _ = io.WriteString(w, value) // or the client has gone
}

// put sets a key, for ever or for as long as "ttl" says.
func (s *server) put(w http.ResponseWriter, r *http.Request, term *raftlead.Leadership) {
	value, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxValue))
	if err != nil {
		http.Error(w, fmt.Sprintf("value: %v", err), http.StatusBadRequest)
		return
	}
	c := command{Term: term.RaftTerm(), Op: opPut, Key: r.PathValue("key"), Value: string(value)}
	if text := r.URL.Query().Get("ttl"); text != "" {
		ttl, err := time.ParseDuration(text)
		if err != nil || ttl <= 0 {
			http.Error(w, fmt.Sprintf("ttl %q is no positive duration; give one like 30s", text), http.StatusBadRequest)
			return
		}
		c.At = time.Now().Add(ttl)
	}
	if err := s.apply(r.Context(), c); err != nil {
		unavailable(w, fmt.Sprintf("not known to be written: %v", err))
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// status is what a server knows of who leads.
type status struct {
	ID     raft.ServerID
	Leader raft.ServerID
	Term   uint64       // of raft
	Token  tenure.Token `json:",omitzero"` // while this server leads
}

func (s *server) status(w http.ResponseWriter, _ *http.Request) {
	now := s.elector.Now()
	st := status{ID: s.id, Leader: now.Leader, Term: now.Term}
	if term := s.term.Load(); term != nil && term.Held() {
		st.Token = term.Token()
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(st) // or the client has gone
}

func unavailable(w http.ResponseWriter, why string) {
	w.Header().Set("Retry-After", "1")
	http.Error(w, why, http.StatusServiceUnavailable)
}
