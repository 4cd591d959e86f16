//go:build race

package server

// raceDetector: the tests run under it. What is skipped for it make unit runs by name.
const raceDetector = true
