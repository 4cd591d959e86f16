package xrow

import (
	"errors"
	"strings"
	"testing"

	"tarragon.dev/tarragon/internal/mp"
)

func TestCheckExt(t *testing.T) {
	for _, c := range []struct{ hex, want string }{
		// Values that a 3.8 server sent and took.
		{"d6 01 02 01 23 4d", ""}, // -12.34
		{"d5 01 00 0c", ""},       // 0
		{"d5 01 f6 1c", ""},       // 1e10
		{"c7 03 01 01 01 0c", ""}, // 1.0
		{"d5 01 26 1c", ""},       // 1e-38
		{"d5 01 4c 1c", ""},       // 1e-76
		{"c7 03 01 d0 b5 1c", ""}, // 1e75
		{"c7 28 01 00" + strings.Repeat("99", 38) + "9c", "decimal"}, // 77 digits
		{"c7 28 01 01" + strings.Repeat("99", 38) + "9c", "decimal"}, // the same with one behind the point
		{"c7 28 01 00 09" + strings.Repeat("99", 37) + "9c", ""},     // 76 digits
		{"c7 29 01 00" + strings.Repeat("00", 39) + "0c", "decimal"}, // too many bytes, whatever they hold
		{"c7 06 01 d2 fff0bdc1 1c", ""},                              // 1e999999
		{"c7 07 01 d2 fff0bdc1 01 0c", "decimal"},                    // 1e1000000
		{"c7 06 01 ce 000f428a 1c", ""},                              // 1e-1000074
		{"c7 06 01 ce 000f428b 1c", "decimal"},                       // 1e-1000075
		{"d4 01 01", "decimal"},                                      // no digits
		{"d5 01 00 11", "decimal"},                                   // no sign
		{"d6 01 00 1a 01 0c", "decimal"},                             // a digit of 10
		{"d6 01 00 a1 01 0c", "decimal"},
		{"d5 01 c0 1c", "decimal"}, // scale is no integer
		{"d4 01 cd", "decimal"},
		{"d8 02 64d22e4dac924a23899ae59f34af5479", ""},
		{"c7 05 02 73686f7274", "uuid"},
		{"d7 04 0000000000000000", ""},
		{"d8 04 c071e06500000000 15cd5b07 b400 0000", ""},
		{"c7 03 04 787878", "datetime"},
		{"c7 0c 04 0000000000000000 00000000", "datetime"},
		{"d7 04 ffffffffffffff7f", "datetime"},
		{"d7 04 00666b88b1a80000", ""},         // the last second of the calendar
		{"d7 04 01666b88b1a80000", "datetime"}, // one more
		{"d8 04 0000000000000000 ffffffff 0000 0000", "datetime"},
		{"d8 04 0000000000000000 00943577 0000 0000", "datetime"}, // 2e9 ns
		{"d8 04 0000000000000000 ff933577 4803 0004", ""},
		{"d8 04 0000000000000000 00000000 4903 0000", "datetime"},
		{"d8 04 0000000000000000 00000000 2ffd 0000", "datetime"},
		{"d8 04 0000000000000000 00000000 0000 0104", "datetime"},
		{"c7 05 06 02 03 01 08 01", ""},
		{"d4 06 00", ""},
		{"c7 05 06 01 00 d2 8000", "interval"}, // cut
		{"c7 07 06 01 00 d2 80000000", ""},
		{"c7 07 06 01 00 ce 80000000", "interval"}, // a year beyond 32 bits
		{"c7 07 06 01 03 ce 80000000", ""},         // days have 64
		{"d5 06 05 01", "interval"},
		{"c7 03 06 01 08 03", "interval"},
		{"c7 03 06 01 08 ff", "interval"},
		{"c7 03 06 01 09 01", "interval"},
		{"c7 03 06 01 01 c0", "interval"},
		{"c7 04 06 01 01 01 01", "interval"}, // junk
		{"c7 0d 03 81 00 91 84 00 a145 01 a0 03 a0 05 05", ""},
		{"c7 07 03 81 00 91 81 00 a145", "error"}, // no message
		{"d4 03 c1", "error"},
		{"d4 63 3f", ""}, // unknown types are not looked at
		{"c7 00 01", "decimal"},
		{"c7 00 06", "interval"},
		{"93 01 d5 01 00 0c d4 01 01", "decimal"}, // inside of something
	} {
		b := unhex(t, c.hex)
		n, err := ScanStrict(b)
		switch {
		case c.want == "" && (err != nil || n != len(b)):
			t.Errorf("%s: %d, %v", c.hex, n, err)
		case c.want != "" && (!errors.Is(err, mp.ErrMsgpack) || !strings.HasSuffix(err.Error(), ": cannot unpack "+c.want)):
			t.Errorf("%s: %v, want %s", c.hex, err, c.want)
		}
		if n, err := mp.Scan(b); err != nil || n != len(b) {
			t.Errorf("%s: plain Scan says %d, %v", c.hex, n, err)
		}
	}
}
