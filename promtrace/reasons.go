package promtrace

import (
	"context"
	"errors"
	"slices"

	"github.com/tenure-go/tenure"
	"github.com/tenure-go/tenure/store"
)

// reasons are what a session or a term can end with, and the values of the label that
// says so. There are few, whatever the messages say. The first that matches counts, so
// that causes stand before what they unwrap to.
var reasons = []struct {
	err    error
	reason string
}{
	{tenure.ErrDeposed, "deposed"},
	{tenure.ErrDispossessed, "dispossessed"},
	{tenure.ErrUnproven, "unproven"},
	{tenure.ErrTransferred, "transferred"},
	{tenure.ErrPreempted, "preempted"},
	{tenure.ErrDrained, "drained"},
	{tenure.ErrIneligible, "ineligible"},
	{tenure.ErrUnhealthy, "unhealthy"},
	{tenure.ErrConditionFailed, "condition_failed"},
	{tenure.ErrDuplicateMember, "duplicate"},
	{store.ErrLeaseNotFound, "lease_not_found"},
	{tenure.ErrSessionExpired, "session_expired"},
	{tenure.ErrResigned, "resigned"},
	{tenure.ErrClosed, "closed"},
	{context.Canceled, "stopped"},
	{context.DeadlineExceeded, "stopped"},
}

const otherReason = "other"

var (
	sessionReasons = []string{"session_expired", "lease_not_found", "duplicate", "closed", otherReason}
	termReasons    = []string{
		"resigned", "closed", "stopped", "session_expired", "unproven", "dispossessed", "deposed", "transferred",
		"preempted", "drained", "ineligible", "unhealthy", "condition_failed", otherReason,
	}
)

// reasonOf is the reason that a cause stands for, of those that are wanted.
func reasonOf(cause error, wanted []string) string {
	for _, r := range reasons {
		if errors.Is(cause, r.err) && slices.Contains(wanted, r.reason) {
			return r.reason
		}
	}
	return otherReason
}
