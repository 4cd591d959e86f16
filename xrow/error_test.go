package xrow

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
)

func TestErrorReplyLayout(t *testing.T) {
	// The gap error of a 3.8 relay, but for file and line.
	e := &Error{Code: ErrXlogGap, Message: "gap"}
	want := "ce00000035 83 00 ce000080db 01 cf0000000000000007 05 cf0000000000000050" +
		"82 31 a3676170 52 81 00 91 86 00 ac" + hexOf("XlogGapError") + "02 00 01 a0 03 a3676170 04 00 05 ccdb"
	got := AppendErrorReply([]byte{0xff}, e, 7, 80)[1:]
	want = strings.ReplaceAll(want, " ", "")
	want = fmt.Sprintf("ce%08x", len(got)-FrameHead) + want[10:]
	if hex.EncodeToString(got) != want {
		t.Errorf("got  %x\nwant %s", got, want)
	}
	body := AppendErrorBody(nil, Errorf(ErrNoSuchSpace, "x"))
	if !bytes.HasSuffix(body, unhex(t, "05 24 06 82 a4"+hexOf("name")+"ad"+hexOf("NO_SUCH_SPACE")+"a5"+hexOf("space")+"a1"+hexOf("x"))) {
		t.Errorf("a ClientError has no name, or no argument: %x", body)
	}
	row := Errorf(ErrReadonly).Row(3, 0)
	if back, err := Decode(row.Append(nil)[FrameHead:]); err != nil || back.Type != 0x8007 || back.Sync != 3 {
		t.Errorf("row %+v, %v", back, err)
	}
}

func TestErrorsSurviveTheWire(t *testing.T) {
	fields := unhex(t, "81 a1 61 92 01 c0")
	for _, e := range []*Error{
		Errorf(ErrReadonly),
		{Code: ErrReadonly, Message: "no", Fields: fields},
		AccessDenied("Write", "space", "test", "poor"),
		{Code: ErrProcLua, Type: "LuajitError", Message: strings.Repeat("x", 300)},
		{Code: 70000, Message: "of a later version"},
		{Code: ErrXlogGap, Message: ""},
	} {
		row := e.Row(1, 2)
		back := row.AsError()
		if back.Code != e.Code || back.Message != e.Message || back.Class() != e.Class() ||
			e.Fields != nil && !bytes.Equal(back.Fields, e.Fields) {
			t.Errorf("%+v became %+v", e, back)
		}
		if !errors.Is(back, e.Code) {
			t.Errorf("%v is not %d", back, e.Code)
		}
	}
}

func TestDecodeErrorBodyTakesWhatItCan(t *testing.T) {
	for _, c := range []struct {
		name, hex, want string // class/code/message
	}{
		{"no body", "", "ClientError/116/"},
		{"no map", "90", "ClientError/116/"},
		{"old form", "81 31 a3616263", "ClientError/116/abc"},
		{"stack without a type", "82 31 a3616263 52 81 00 91 82 01 a0 03 a178", "ClientError/116/abc"},
		{"stack with a number for a message", "82 31 a3616263 52 81 00 91 83 00 a145 01 a0 03 05", "ClientError/116/abc"},
		{"empty stack", "82 31 a3616263 52 81 00 90", "ClientError/116/abc"},
		{"no array", "82 31 a3616263 52 81 00 80", "ClientError/116/abc"},
		{"no map for a stack", "82 31 a3616263 52 01", "ClientError/116/abc"},
		{"stack", "82 31 a3616263 52 82 01 c0 00 91 85 00 a145 01 a0 03 a178 05 07 a1 61 c0", "E/7/x"},
		{"a cause", "81 52 81 00 92 84 00 a145 01 a0 03 a178 05 07 84 00 a146 01 a0 03 a179 05 08", "E/7/x/F/8/y"},
		{"a broken cause", "81 52 81 00 92 84 00 a145 01 a0 03 a178 05 07 80", "E/7/x"},
	} {
		row := Row{Type: ErrorFlag | 116, Body: unhex(t, c.hex)}
		var parts []string
		for e := row.AsError(); e != nil; {
			parts = append(parts, fmt.Sprintf("%s/%d/%s", e.Class(), e.Code, e.Message))
			cause, ok := e.Err.(*Error)
			if !ok {
				break
			}
			e = cause
		}
		if got := strings.Join(parts, "/"); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	if e := (&Row{Type: OK}).AsError(); e != nil {
		t.Errorf("OK is %v", e)
	}
}

// TestRecordedErrors encodes the errors of real servers anew and decodes them:
// all but file, line and errno is kept.
func TestRecordedErrors(t *testing.T) {
	n := 0
	for _, f := range frames(t) {
		row, err := Decode(f.bytes[min(FrameHead, len(f.bytes)):])
		if err != nil || f.raw || row.Type&ErrorFlag == 0 {
			continue
		}
		n++
		e := row.AsError()
		if e.Code != Code(row.Type&^ErrorFlag) || e.Message == "" || e.Type == "" {
			t.Errorf("%s: %+v", f.at, e)
		}
		again := DecodeErrorBody(AppendErrorBody(nil, e))
		if again.Code != e.Code || again.Type != e.Type || again.Message != e.Message ||
			e.Fields != nil && !bytes.Equal(again.Fields, e.Fields) {
			t.Errorf("%s: %+v became %+v", f.at, e, again)
		}
		if usual := (&Error{Code: e.Code}).Class(); usual != e.Type && e.Type != "LuajitError" && e.Type != "CustomError" && !f.old() {
			t.Errorf("%s: class %s of code %d, we say %s", f.at, e.Type, e.Code, usual)
		}
	}
	if n < 290 {
		t.Errorf("only %d errors", n)
	}
}

// TestTextsOfRecordedErrors compares our templates with what 3.8 said where no
// argument is needed.
func TestTextsOfRecordedErrors(t *testing.T) {
	for _, f := range frames(t) {
		if f.raw || f.old() {
			continue
		}
		row, err := Decode(f.bytes[FrameHead:])
		if err != nil || row.Type&ErrorFlag == 0 {
			continue
		}
		e := row.AsError()
		if text := errCodes[e.Code].text; !strings.Contains(text, "%") && e.Type == "ClientError" && text != e.Message &&
			e.Code != ErrReadonly { // which goes on with the reasons
			t.Errorf("%s: %d is %q, our text is %q", f.at, e.Code, e.Message, text)
		}
	}
}

func TestErrorfFillsEveryTemplate(t *testing.T) {
	verb := regexp.MustCompile(`%[a-z]`)
	for code, known := range errCodes {
		var args []any
		for i, v := range verb.FindAllString(known.text, -1) {
			if v == "%s" {
				args = append(args, "text")
			} else {
				args = append(args, 'A'+i)
			}
		}
		if got := Errorf(code, args...); strings.Contains(got.Message, "%!") || got.Code != code {
			t.Errorf("%d %q: %q", code, known.text, got.Message)
		}
	}
	if got := Errorf(ErrNoSuchSpace, "7").Error(); got != "Space '7' does not exist" {
		t.Error(got)
	}
}
