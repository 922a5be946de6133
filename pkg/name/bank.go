package name

import (
	"errors"
	"slices"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"
)

// The encodings in which files travel to a bank.
const (
	GB18030 = "GB18030"
	GBK     = "GBK"
	UTF8    = "UTF-8"
)

// Encodings that Encoding knows.
func Encodings() []string { return []string{GB18030, GBK, UTF8} }

// Encoding gives an encoding by its name; GB 18030 for one it does not know, as every character has a place there.
func Encoding(of string) encoding.Encoding {
	switch of {
	case UTF8:
		return unicode.UTF8
	case GBK:
		return simplifiedchinese.GBK
	}
	return simplifiedchinese.GB18030
}

// moved are characters whose bytes changed their meaning between the editions of GB 18030: what one side writes, a side of another
// edition reads as something else. Nobody knows which edition a bank's programs follow.
//
//	character           bytes         2000        2005        2022
//	U+1E3F              A8BC          U+E7C7      U+1E3F      U+1E3F
//	U+1E3F              81 35 F4 37   U+1E3F      U+E7C7      U+E7C7
//	U+FE10 .. U+FE19    A6D9 .. A6F3  U+E78D ..   U+E78D ..   U+FE10 ..
//	U+FE10 .. U+FE19    84 31 82 36.. U+FE10 ..   U+FE10 ..   U+E78D ..
//	U+9FB4 .. U+9FBB    FE59 .. FEA0  U+E81E ..   U+E81E ..   U+9FB4 ..
//	U+9FB4 .. U+9FBB    82 35 90 37.. U+9FB4 ..   U+9FB4 ..   U+E81E ..
//	U+20087 U+20089 U+200CC U+215D7 U+2298F U+241FE: FE51 FE52 FE53 FE6C FE76 FE91, private use (U+E816 U+E817 U+E818 U+E831 U+E83B
//	U+E855) to some tables of every edition
//
// The first eighteen are those of the 2022 edition; with the six last ones, the twenty-four that older systems keep in private use.
func moved(r rune) bool {
	return r == 0x1E3F || r >= 0xFE10 && r <= 0xFE19 || r >= 0x9FB4 && r <= 0x9FBB ||
		slices.Contains([]rune{0x20087, 0x20089, 0x200CC, 0x215D7, 0x2298F, 0x241FE}, r)
}

// ForBank refuses a name that a bank would not read as it is: one that is not the written form, or one that the bank's encoding cannot
// carry so that every edition of the encoding gives the same characters back.
func ForBank(s, encoding string) error {
	if err := Check(s); err != nil {
		return err
	}
	if encoding == UTF8 {
		return nil
	}
	for _, r := range s {
		if moved(r) {
			return errors.New("holds a character that the editions of GB 18030 write differently; the bank could read another one")
		}
	}
	if !carries(s, encoding) {
		return errors.New("holds a character that the bank's encoding does not have")
	}
	return nil
}

// carries reports whether a text comes back from an encoding as it went in.
func carries(s, of string) bool {
	written, err := Encoding(of).NewEncoder().String(s)
	if err != nil {
		return false
	}
	read, err := Encoding(of).NewDecoder().String(written)
	return err == nil && read == s
}
