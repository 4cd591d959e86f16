package iproto

// ProtocolVersion is the newest protocol version whose features we all have,
// streams and transactions where the backend serves them (Tarantool, src/box/iproto_features.h: version 6
// added WATCH_ONCE, version 7 tuples as an extension type, which we do not send).
const ProtocolVersion = 6

// Feature is a number in the FEATURES of an ID request or reply.
type Feature uint64

// Features by their protocol numbers.
const (
	FeatureStreams        Feature = 0
	FeatureTransactions   Feature = 1
	FeatureErrorExtension Feature = 2
	FeatureWatchers       Feature = 3
	FeaturePagination     Feature = 4
	FeatureNames          Feature = 5
	FeatureWatchOnce      Feature = 6
	FeatureIsSync         Feature = 11
	// FeatureSessions is our own: requests may have numbers of exactly-once sessions.
	FeatureSessions Feature = 63
)

// Features is a set of features; those numbered 64 and above are not kept.
type Features uint64

// Has tells whether f is in the set.
func (s Features) Has(f Feature) bool { return f < 64 && s&(1<<f) != 0 }

// With returns the set with f in it.
func (s Features) With(f Feature) Features {
	if f < 64 {
		s |= 1 << f
	}
	return s
}

// Without returns the set with f taken out.
func (s Features) Without(f Feature) Features {
	if f < 64 {
		s &^= 1 << f
	}
	return s
}
