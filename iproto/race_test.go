//go:build race

package iproto

// raceDetector: the tests run under it.
const raceDetector = true
