package box

import (
	"slices"

	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// Settings are what a session has changed in _session_settings: raw values by
// name. They are kept and shown; all of them are about SQL, which is not served.
type Settings map[string][]byte

var settingNames = [...]string{"sql_default_engine", "sql_full_column_names", "sql_full_metadata", "sql_parser_debug",
	"sql_recursive_triggers", "sql_reverse_unordered_selects", "sql_select_debug", "sql_seq_scan", "sql_vdbe_debug"}

// setting is the tuple of a setting.
func (s Settings) setting(name string) []byte {
	b := msgp.AppendString([]byte{0x92}, name)
	switch v, changed := s[name]; {
	case changed:
		return append(b, v...)
	case name == "sql_default_engine":
		return msgp.AppendString(b, engineMemtx)
	}
	return msgp.AppendBool(b, name == "sql_recursive_triggers")
}

// SelectSettings is Select for the settings of a session. Safe for readers.
func (b *Box) SelectSettings(user Credentials, q *Query, s Settings, out []byte) (res []byte, n int, err error) {
	q.More = false
	scan, err := b.prepareScan(b.dict, b.dict, user, q)
	if err != nil {
		return out, 0, err
	}
	if q.FetchPosition || len(q.AfterPosition) > 0 || q.AfterTuple != nil {
		return out, 0, scan.unsupported("pagination")
	}
	names := slices.Clone(settingNames[:])
	if scan.descending() {
		slices.Reverse(names)
	}
	for _, name := range names {
		switch {
		case !scan.satisfied(msgp.AppendString(nil, name)):
		case q.Offset > 0:
			q.Offset--
		case uint32(n) < q.Limit:
			out = append(out, s.setting(name)...)
			n++
		}
	}
	return out, n, nil
}

// UpdateSetting is UPDATE of a setting of a session: result is the new tuple,
// nil where there is no such setting. Safe for readers.
func (b *Box) UpdateSetting(user Credentials, d *xrow.DML, s Settings) (result []byte, err error) {
	sp, err := b.dict.needSpace(d.SpaceID)
	if err != nil {
		return nil, err
	}
	if err := b.dict.allowedSpace(user, sp, PrivWrite); err != nil {
		return nil, err
	}
	for _, v := range [...][]byte{d.Key, d.Tuple} {
		if err := checkExts(v); err != nil {
			return nil, err
		}
	}
	ix, err := sp.needIndex(d.IndexID)
	if err != nil {
		return nil, err
	}
	key, _, err := ix.checkKey(d.Key, true)
	if err != nil {
		return nil, aboutIndex(err, sp, ix)
	}
	name := string(mp.TextOf(key))
	if !slices.Contains(settingNames[:], name) {
		return nil, nil
	}
	u := updater{format: sp.format, base: int64(d.IndexBase), maxSize: b.config.MaxTupleSize}
	old := s.setting(name)
	if result, err = u.apply(nil, old, d.Tuple); err != nil {
		return nil, err
	}
	if err := sp.format.check(result); err != nil {
		return nil, err
	}
	if !ix.sameKey(old, result) {
		return nil, cantUpdateKey(sp, old, result)
	}
	w := walker{b: result}
	v := mp.First(w.field(1))
	switch want := typeBoolean; {
	case name == "sql_default_engine" && mp.KindOf(v[0]) != mp.Str:
		want = typeString
		fallthrough
	case name != "sql_default_engine" && mp.KindOf(v[0]) != mp.Bool:
		return nil, xrow.Errorf(xrow.ErrSessionSettingInvalidValue, name, want)
	case name == "sql_default_engine" && string(mp.TextOf(v)) != engineMemtx && string(mp.TextOf(v)) != engineVinyl:
		return nil, xrow.Errorf(xrow.ErrNoSuchEngine, shortName(string(mp.TextOf(v))))
	}
	s[name] = slices.Clone(v)
	return result, nil
}

// settingsRefuse is the error of what cannot be done to settings, or not by a
// transaction.
func settingsRefuse(t xrow.Type) error {
	const space = "_session_settings space"
	switch t {
	case xrow.Insert, xrow.Replace:
		return xrow.Errorf(xrow.ErrUnsupported, space, "replace()")
	case xrow.Delete:
		return xrow.Errorf(xrow.ErrUnsupported, space, "delete()")
	case xrow.Upsert:
		return xrow.Errorf(xrow.ErrUnsupported, space, "upsert()")
	}
	return unsupported("session settings in transactions")
}
