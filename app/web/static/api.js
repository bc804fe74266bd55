// Swagger UI over our description; a session needs its CSRF token, as forms do.
const token = document.querySelector('meta[name="csrf"]')?.content;

window.SwaggerUIBundle({
  url: "/api/v1/openapi.json",
  dom_id: "#swagger",
  deepLinking: true,
  validatorUrl: null, // it would send the description to somebody else
  requestInterceptor(request) {
    if (token && !request.headers.Authorization) request.headers["X-CSRF-Token"] = token;
    return request;
  },
});
