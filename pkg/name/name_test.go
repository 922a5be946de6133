package name_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/lianhu/lianhu/pkg/name"
)

func TestNamesThatAreWrittenAsTheyShouldBe(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "吴小满", "阿依古丽·买买提", "Anna Maria Weiß", "欧阳\u3000娜娜", "\U0002EBF0", "\U00032100", "㛃", "𫖯", "O'Neill", "José"} {
		if err := name.Check(s); err != nil {
			t.Errorf("%+q: %v", s, err)
		}
	}
}

func TestWhatIsNoNameIsRefusedAndNeverRepeated(t *testing.T) {
	t.Parallel()
	for what, s := range map[string]string{
		"NUL": "吴\x00小满", "tab": "吴\t小满", "line end": "吴小满\n", "C1": "吴\u0085小满", "line separator": "吴\u2028小满",
		"zero width space": "吴\u200b小满", "zero width joiner": "吴\u200d小满", "byte order mark": "\ufeff吴小满", "right to left": "\u202e吴小满", "isolate": "\u2066吴小满",
		"soft hyphen": "吴\u00ad小满", "word joiner": "吴\u2060小满", "tag": "吴\U000E0041小满", "selector": "吴\ufe00小满", "ideographic selector": "吴\U000E0100小满",
		"filler": "\u3164", "half filler": "吴\uffa0", "braille blank": "\u2800", "replacement": "吴\ufffd", "joiner": "吴\u034f",
		"blank before": " 吴小满", "blank behind": "吴小满 ", "wide blank": "吴小满\u3000", "no-break": "\u00a0吴小满", "blanks": "   ",
		"private": "吴\ue000", "moved": "吴\ue78d", "no character": "吴\ue5e5", "private plane": "吴\U000F0000", "unassigned": "吴\u0378", "noncharacter": "吴\uffff",
		"decomposed": "Jose\u0301", "compatibility": "\uf92c", "mark first": "\u0301e", "not UTF-8": "吴\xff",
		"bullet": "阿依古丽•买买提", "katakana dot": "阿依古丽・买买提", "half dot": "阿依古丽･买买提", "hyphenation point": "阿依古丽‧买买提", "runic": "阿依古丽᛫买买提", "operator": "阿依古丽⋅买买提",
	} {
		err := name.Check(s)
		if err == nil {
			t.Errorf("%s: %+q is taken", what, s)
			continue
		}
		if strings.Contains(err.Error(), "吴") || strings.Contains(err.Error(), "古丽") {
			t.Errorf("%s: the refusal repeats the name: %v", what, err)
		}
	}
	if err := name.Check("阿依古丽•买买提"); !strings.Contains(err.Error(), "U+00B7") {
		t.Errorf("the refusal does not say which dot is meant: %v", err)
	}
}

func TestAPersonsNameIsBroughtToItsWrittenForm(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"阿依古丽•买买提": "阿依古丽·买买提", "阿依古丽・买买提": "阿依古丽·买买提", "阿依古丽\u0387买买提": "阿依古丽·买买提", "Jose\u0301": "José", "\uf92c": "\u90ce", "吴小满": "吴小满",
	} {
		if got := name.Canonical(given); got != want {
			t.Errorf("%+q becomes %+q, want %+q", given, got, want)
		}
	}
}

func TestWhatABankCannotReadIsRefused(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"\u1e3f", "\ufe10", "\ufe19", "\u9fb4", "\u9fbb", "\U00020087", "\U000241FE", "\ue000", "\ue78d", "\ue5e5", "\ue7c7", "•",
	} {
		for _, encoding := range []string{name.GB18030, name.GBK} {
			if name.ForBank("吴"+s+"满", encoding) == nil {
				t.Errorf("%+q is taken for %s", s, encoding)
			}
		}
	}
	for s, encodings := range map[string][]string{
		"吴小满·阿依": {name.GB18030, name.GBK, name.UTF8}, "𫖯": {name.GB18030, name.UTF8}, "\U0002EBF0": {name.GB18030, name.UTF8}, "José": {name.GB18030, name.GBK, name.UTF8},
	} {
		for _, encoding := range name.Encodings() {
			taken := name.ForBank(s, encoding) == nil
			want := strings.Contains(strings.Join(encodings, " "), encoding)
			if taken != want {
				t.Errorf("%+q for %s: taken %v, want %v", s, encoding, taken, want)
			}
		}
	}
}

// What is taken comes back from the bank's encoding as it was sent, and a person's name that was taken is its own written form.
func FuzzName(f *testing.F) {
	for _, s := range []string{"吴小满", "阿依古丽•买买提", "Jose\u0301", "\ue78d", "\u1e3f", " x", "\uf92c", "𫖯", "\u200b", "e\u0301\u0327"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, encoding := range name.Encodings() {
			if name.ForBank(s, encoding) != nil {
				continue
			}
			written, err := name.Encoding(encoding).NewEncoder().String(s)
			if err != nil {
				t.Fatalf("%+q is taken and cannot be written: %v", s, err)
			}
			read, err := name.Encoding(encoding).NewDecoder().String(written)
			if err != nil || read != s {
				t.Errorf("%+q comes back from %s as %+q", s, encoding, read)
			}
		}
		written := name.Canonical(s)
		if name.Canonical(written) != written {
			t.Errorf("%+q has two written forms", s)
		}
		if name.Check(written) == nil && (!utf8.ValidString(written) || !norm.NFC.IsNormalString(written) || strings.TrimSpace(written) != written) {
			t.Errorf("%+q is taken", written)
		}
	})
}
