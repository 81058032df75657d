//! HTTP: negotiation, routes, watch streams, Tables, discovery, OpenAPI.
