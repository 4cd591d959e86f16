// Package metrics is figures of this process as Prometheus reads them: what each is, a
// histogram that is cheap to add to, and the answer to a scrape.
//
// # Invariants
//
//  1. What there is stands in a [Set] before the first scrape: name, kind, labels, help. The
//     page of metrics is made of it.
//  2. A scrape gathers all figures first and writes them then: who reads slowly, or not at all,
//     keeps nothing of what is measured waiting. One gathers at a time, and [Scrapes] are
//     answered at most; more get 503.
//  3. [Histogram.Observe] takes no lock and makes no memory.
package metrics
