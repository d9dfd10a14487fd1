// Package interop runs Tenure together with what docs/coming-from.md says that it
// can be used with, and shows on the packages of others what that page says of
// them. It is tests only.
package interop
