// Package mp is MessagePack: the scanner that foreign bytes pass first, what
// reads values in place, without a copy, behind it, and, where speed does not
// count, values that are built and read by vmihailenco/msgpack.
//
// There are two kinds of readers in place, and no third one. Those that report an ok or
// an error take any bytes: [Scan], [ReadUint] and its like. The others, such as
// [Skip] and [IntOf], take a value that Scan went over, and rely on its being
// whole.
//
// # Invariants
//
//  1. Foreign bytes cost bounded stack and no memory before Scan went over
//     them: depth is at most [MaxDepth], and a header that promises more than
//     there are bytes is refused at once.
//  2. What a first byte means is written down once, in token, and its kind in
//     kinds; scanner and readers ask these.
//  3. Scanner and readers in place do not allocate.
//  4. vmihailenco/msgpack reads nothing that was not scanned: [Decode] does
//     that itself.
//
// Sources: the MessagePack specification; Tarantool 3.x, src/lib/msgpuck.
package mp
