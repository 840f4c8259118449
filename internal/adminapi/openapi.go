package adminapi

import _ "embed"

// OpenAPI is the description of the API, as OpenAPI 3.1 in JSON.
//
//go:embed openapi.json
var OpenAPI []byte
