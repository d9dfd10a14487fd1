package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/tenure-go/tenure"
)

// NotFoundError says that there is no such thing.
type NotFoundError string

func (e NotFoundError) Error() string { return string(e) }

// reply sends a value as JSON, on one line.
func reply(w http.ResponseWriter, status int, v any) {
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		http.Error(w, "{}", http.StatusInternalServerError) // no page has such a value
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // a client that has gone needs no answer
}

type errorJSON struct {
	Error string `json:"error"`
}

func replyError(w http.ResponseWriter, status int, text string) { reply(w, status, errorJSON{text}) }

type stateJSON struct {
	OK     bool   `json:"ok"`
	Reason string `json:"reason,omitempty"`
}

// replyState answers a probe.
func replyState(w http.ResponseWriter, err error) {
	if err != nil {
		reply(w, http.StatusServiceUnavailable, stateJSON{Reason: err.Error()})
		return
	}
	reply(w, http.StatusOK, stateJSON{OK: true})
}

// replyRead sends what was read, or why it could not be.
func replyRead(w http.ResponseWriter, v any, err error) {
	_, notFound := errors.AsType[NotFoundError](err)
	switch {
	case err == nil:
		reply(w, http.StatusOK, v)
	case notFound:
		replyError(w, http.StatusNotFound, err.Error())
	case errors.Is(err, tenure.ErrInvalid):
		replyError(w, http.StatusBadRequest, err.Error())
	case errors.Is(err, context.DeadlineExceeded):
		replyError(w, http.StatusGatewayTimeout, err.Error())
	default:
		w.Header().Set("Retry-After", "1")
		replyError(w, http.StatusServiceUnavailable, err.Error())
	}
}
