package base

import "testing"

// A base URL may have a query of its own.
func TestConsoleURLForms(t *testing.T) {
	t.Parallel()
	for _, one := range []struct{ kind, page, want string }{
		{"novnc", "https://c/vnc.html", "https://c/vnc.html?path=%3Ftoken%3DT"},
		{"novnc", "https://c/vnc.html?autoconnect=1", "https://c/vnc.html?autoconnect=1&path=%3Ftoken%3DT"},
		{"novnc", "https://c/vnc.html?path=ws", "https://c/vnc.html?path=ws%3Ftoken%3DT"},
		{"serial", "wss://c/?a=b", "wss://c/?a=b&token=T"},
		{"webmks", "https://c/", "https://c/?token=T"},
	} {
		if got := (&ConsoleType{Name: one.kind, Base: one.page}).URL("T"); got != one.want {
			t.Errorf("%s, want %s", got, one.want)
		}
	}
}
