package web

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
)

const methods = "GET, HEAD, OPTIONS"

// readOnly answers what may be asked.
type readOnly struct {
	anyHost bool
	pages   map[string]page
}

func (h readOnly) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store") // it is true now
	w.Header().Set("X-Content-Type-Options", "nosniff")
	switch r.Method {
	case http.MethodGet, http.MethodHead:
	case http.MethodOptions:
		w.Header().Set("Allow", methods)
		w = bodiless{w}
	default:
		w.Header().Set("Allow", methods)
		closeAfter(w, r)
		replyError(w, http.StatusMethodNotAllowed, fmt.Sprintf("method %q; this server is read only: %s", r.Method, methods))
		return
	}
	switch {
	case r.ContentLength != 0:
		closeAfter(w, r)
		replyError(w, http.StatusBadRequest, "a body; send none")
	case !h.anyHost && !isThisHost(r.Host):
		replyError(w, http.StatusMisdirectedRequest,
			fmt.Sprintf("host %q; what listens on the loopback interface is asked for by its address or as localhost", r.Host))
	default:
		show(h.pages, w, r)
	}
}

// closeAfter ends the connection after the reply, so that nobody has to read a body.
func closeAfter(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength != 0 {
		w.Header().Set("Connection", "close")
	}
}

// isThisHost reports whether a request is meant for what listens on the loopback interface.
// A page that a browser of this host shows could otherwise have its own name resolve to
// this address, and read what is not meant for it. An address cannot be resolved to
// another, so any will do; HTTP/1.0 names no host.
func isThisHost(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if n := len(host); n > 2 && host[0] == '[' && host[n-1] == ']' {
		host = host[1 : n-1]
	}
	if host == "" || host == "localhost" {
		return true
	}
	_, err := netip.ParseAddr(host)
	return err == nil
}

// bodiless is a reply to OPTIONS: the status counts.
type bodiless struct{ http.ResponseWriter }

func (bodiless) Write(b []byte) (int, error) { return len(b), nil }
