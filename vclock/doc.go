// Package vclock is the vector clock: for each instance ID the greatest LSN
// that is held of it.
//
// A VClock is a plain value of 32 components, compared and copied as an
// array. Component 0 counts local rows; it has no meaning outside the
// instance, so comparisons between instances leave it out.
//
// # Invariants
//
//  1. A component never goes back while it is followed ([VClock.Follow]).
//  2. The text form and the map on the wire list set components in ascending
//     order of their IDs.
//
// Sources: Tarantool, src/lib/vclock/vclock.h.
package vclock
