// Package proof has the digests by which members of a replica set prove to each other, and to
// an operator, that they hold the same rows and the same tuples.
//
// It is no codec and reads no store: who has rows or tuples hands them over one by one.
//
// # Invariants
//
//  1. The digest of a range is the sum of those of its parts, however it is cut, and the
//     order in which they are added does not count. So a member may answer in slices.
//  2. What is hashed of a row is what it decided and who wrote it when: term, origin, LSN, type,
//     time and body. Flags, the place in a transaction and the widths of a header are not
//     part of it: a relay may encode them anew.
//
// A sum of hashes finds every difference that comes by chance: of 2^256 values. It is no defence against a
// member that makes up rows on purpose; such a one could repeat the digests of others as well.
//
// See docs/protocol/verify.md.
package proof
