// Package name is the one rule for how a person's name is written, wherever one enters: reports, children, guardians, carers, officers,
// applicants and payees. A name has one written form, so that two spellings that look alike are one name to every search, and a bank
// reads what was sent.
//
// No error repeats the name it refuses.
package name

import (
	"errors"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Dot is the separator of a name's parts, as in 阿依古丽·买买提 (间隔号).
const Dot = '·'

// lookalikes of Dot that keyboards and old systems write instead. NFC folds U+0387 by itself.
var lookalikes = []rune{
	'\u1427', '\u16EB', '\u2022', '\u2024', '\u2027', '\u2219', '\u22C5', '\u25CF', '\u2981', '\u2E31', '\u2E33', '\u30FB', '\u318D', '\uA78F', '\uFF65', '\U00010101',
}

// newer are ideographs made for personal names which the tables of this Go release do not know yet: extensions I and J.
var newer = &unicode.RangeTable{R32: []unicode.Range32{{Lo: 0x2EBF0, Hi: 0x2EE5D, Stride: 1}, {Lo: 0x323B0, Hi: 0x33479, Stride: 1}}}

// invisible characters that the categories of Unicode count among letters, marks and symbols.
var invisible = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x034F, Hi: 0x034F, Stride: 1}, {Lo: 0x115F, Hi: 0x1160, Stride: 1}, {Lo: 0x17B4, Hi: 0x17B5, Stride: 1}, {Lo: 0x180B, Hi: 0x180F, Stride: 1},
		{Lo: 0x2800, Hi: 0x2800, Stride: 1}, {Lo: 0x3164, Hi: 0x3164, Stride: 1}, {Lo: 0xFE00, Hi: 0xFE0F, Stride: 1}, {Lo: 0xFFA0, Hi: 0xFFA0, Stride: 1},
		{Lo: 0xFFFC, Hi: 0xFFFD, Stride: 1},
	},
	R32: []unicode.Range32{{Lo: 0xE0100, Hi: 0xE01EF, Stride: 1}},
}

// Canonical composes a name (Unicode NFC) and writes the look-alikes of the middle dot as U+00B7. It is what a person's name goes through
// before Check.
func Canonical(s string) string {
	return norm.NFC.String(strings.Map(func(r rune) rune {
		if slices.Contains(lookalikes, r) {
			return Dot
		}
		return r
	}, s))
}

// Check refuses what is not a name's written form; the text says what is wrong with it. An empty name is none and passes.
func Check(s string) error {
	switch {
	case s == "":
		return nil
	case !utf8.ValidString(s):
		return errors.New("is not valid UTF-8")
	case strings.ContainsFunc(s, func(r rune) bool { return slices.Contains(lookalikes, r) }):
		return errors.New("separates its parts by a look-alike of the middle dot; write U+00B7 (·)")
	case !norm.NFC.IsNormalString(s):
		return errors.New("is not in composed form (Unicode NFC)")
	}
	for _, r := range s {
		if wrong := wrongWith(r); wrong != "" {
			return errors.New(wrong)
		}
	}
	if first, _ := utf8.DecodeRuneInString(s); unicode.IsSpace(first) || unicode.IsMark(first) {
		return errors.New("begins with a blank or a combining mark")
	}
	if last, _ := utf8.DecodeLastRuneInString(s); unicode.IsSpace(last) {
		return errors.New("ends with a blank")
	}
	return nil
}

// wrongWith says why a character stands in no name; empty when it may.
func wrongWith(r rune) string {
	switch {
	case unicode.Is(unicode.Cc, r), r == '\u2028', r == '\u2029':
		return "holds a control character"
	case unicode.Is(unicode.Cf, r), unicode.Is(invisible, r):
		return "holds a character that is not seen (format, zero width, direction, filler)"
	case unicode.Is(unicode.Co, r):
		return "holds a private-use character, which means something else to every reader; write the character of Unicode"
	case !assigned(r):
		return "holds a code that is no character of Unicode"
	}
	return ""
}

func assigned(r rune) bool {
	return unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S, unicode.Zs, newer)
}
