/** The style of text: headings, paragraphs, and the figures at the top. */

export const TEXT = `
* {
  box-sizing: border-box;
}
html {
  color-scheme: light dark;
  -webkit-text-size-adjust: 100%;
}
body {
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", "Noto Sans", "Liberation Sans",
    sans-serif;
  color: var(--text);
  background: var(--page);
  margin: 0;
  overflow-wrap: break-word;
}
header,
main,
footer {
  max-width: 64rem;
  margin: 0 auto;
  padding: 0 1.5rem;
}
header {
  padding-top: 3rem;
}
footer {
  color: var(--muted);
  font-size: .875rem;
  padding-block: 3rem;
}
h1 {
  font-size: 1.9rem;
  line-height: 1.25;
  margin: .25rem 0 1rem;
  text-wrap: balance;
}
h2 {
  font-size: 1.3rem;
  line-height: 1.3;
  margin: 3.5rem 0 .5rem;
}
h3 {
  font-size: 1.05rem;
  margin: 2.25rem 0 .25rem;
}
p {
  margin: .5rem 0;
  max-width: 46rem;
}
.hidden {
  position: absolute;
  width: 1px;
  height: 1px;
  overflow: hidden;
  clip-path: inset(50%);
}
.kind {
  color: var(--muted);
  margin: 0;
  font-size: .95rem;
}
.note {
  color: var(--muted);
  font-size: .9rem;
}
.path {
  overflow-wrap: anywhere;
}
dl.facts {
  display: grid;
  grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr));
  gap: 0 2rem;
  margin: 1.75rem 0 0;
  border-top: 1px solid var(--rule);
}
dl.facts div {
  padding: .9rem 0;
}
dl.facts dt {
  color: var(--muted);
  font-size: .875rem;
}
dl.facts dd {
  margin: 0;
}
dl.facts .figure {
  font-size: 1.5rem;
  font-weight: 600;
  line-height: 1.3;
  display: block;
}
`;
