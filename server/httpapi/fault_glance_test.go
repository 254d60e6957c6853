package httpapi

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// The forms are those that webob 1.8 chooses for the same headers, but for the empty ones.
func TestAcceptedFault(t *testing.T) {
	t.Parallel()
	const page, object = "text/html", "application/json"
	for accept, want := range map[string]string{
		"": page, " ": page, "*/*": page, "application/json": object, "text/html": page, "text/plain": "", "application/*": object, "image/png": "", "APPLICATION/JSON": object,
		"text/*;q=0.5, application/json": object, "application/json, text/html": page, "text/html, application/json": page, "*/*;q=0.1, application/json": object,
		"text/html;q=0, */*": object, "application/json;q=0.9, text/*;q=0.9": page, "garbage": page, "application/json;q=2": page, "text/html;level=1": "",
		"application/json;v=2": "", "*/*, application/json;q=0": page, "application/json, */*": page,
	} {
		require.Equal(t, want, acceptedFault(accept), "Accept: %s", accept)
	}
}

func TestGlanceFaultForms(t *testing.T) {
	t.Parallel()
	for accept, want := range map[string][2]string{
		"text/plain": {"text/plain; charset=UTF-8", "404 Not Found\n\nNo image  next \n\n\n   "},
		"*/*": {"text/html; charset=UTF-8", "<html>\n <head>\n  <title>404 Not Found</title>\n </head>\n <body>\n  <h1>404 Not Found</h1>\n" +
			"  No image &lt;a&amp;b&gt;\nnext &lt;br&gt;<br /><br />\n\n\n\n </body>\n</html>"},
		"application/json": {"application/json", `{"message":"No image <a&b>\nnext <br><br /><br />\n\n\n","code":"404 Not Found","title":"Not Found"}`},
	} {
		contentType, body := glanceFault(fault{status: http.StatusNotFound, message: "No image <a&b>\nnext <br>", accept: accept})
		require.Equal(t, want, [2]string{contentType, string(body)}, "Accept: %s", accept)
	}
}
