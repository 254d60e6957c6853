package base

import "github.com/kilonova-cloud/kilonova/server/httpapi"

// NotWellFormed is Nova's 400 that says nothing of why.
func NotWellFormed() error {
	return httpapi.BadRequest("The server could not comply with the request since it is either malformed or otherwise incorrect.")
}
