// Package load drives an IPROTO server and measures how it answers.
//
// A [Workload] says what is asked, a [Plan] how hard and how long, [Run] does
// it and returns a [Result].
//
// # What is measured
//
//  1. Only requests that are answered inside the window count: the warm-up
//     before it and the drain behind it do not.
//  2. Latency runs from the moment a request is handed to the socket, or, with
//     a rate, from the moment it was due: a server that stands still cannot
//     hide it by receiving fewer requests (coordinated omission).
//  3. An error answer is counted by its code and is not throughput, and neither
//     is a request that got no answer.
//  4. A closed loop (no rate) measures what a server does with a fixed number
//     of requests in flight; its latency is that of this number of clients, not
//     of a stream from outside.
//
// # Drivers
//
// Raw writes requests built beforehand with one call per read buffer, from one
// goroutine per connection, or from one thread for all of many: its own cost is a
// few hundred nanoseconds a request where many are in flight, and the calls to
// read and to write where one is, so that on a small machine the server is what
// is measured.
// Connector uses go-tarantool, a goroutine per request in flight, as an
// application does.
package load
