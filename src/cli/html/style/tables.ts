/** The style of tables, of the bars in them, and of what can be opened. */

export const TABLES = `
.scroll {
  overflow-x: auto;
  margin: .75rem 0;
}
table {
  border-collapse: collapse;
  width: 100%;
  font-size: .925rem;
  font-variant-numeric: tabular-nums;
}
caption {
  text-align: left;
  color: var(--muted);
  padding: 0 0 .4rem;
  font-size: .9rem;
}
th,
td {
  text-align: left;
  vertical-align: top;
  padding: .4rem 1.25rem .4rem 0;
  border-bottom: 1px solid var(--rule);
}
th:last-child,
td:last-child {
  padding-right: 0;
}
thead th {
  color: var(--muted);
  font-weight: 600;
  font-size: .85rem;
  vertical-align: bottom;
  border-bottom-color: var(--muted);
}
tbody th {
  font-weight: 600;
}
.number {
  text-align: right;
  white-space: nowrap;
}
.short {
  white-space: nowrap;
}
.name {
  min-width: 9rem;
  overflow-wrap: anywhere;
}
.version {
  min-width: 6.5rem;
  overflow-wrap: anywhere;
}
.words {
  min-width: 15rem;
  overflow-wrap: anywhere;
}
.bars {
  width: 26%;
  min-width: 7rem;
}
.bar {
  display: block;
  height: .8rem;
  margin-top: .35rem;
  min-width: 2px;
  background: var(--new);
}
.bar.kept {
  background: var(--muted);
}
.interval {
  display: block;
  position: relative;
}
.whisker {
  position: absolute;
  top: .15rem;
  height: .5rem;
  border: solid var(--whisker);
  border-width: 0 2px;
  background: linear-gradient(var(--whisker), var(--whisker)) center / 100% 2px no-repeat;
}
.strip {
  display: block;
  width: 100%;
  height: 1.1rem;
  background: var(--soft);
  margin-top: .2rem;
}
.strip path {
  fill: var(--new);
}
details {
  margin: .25rem 0;
}
summary {
  cursor: pointer;
  color: var(--new);
  width: fit-content;
  padding: .1rem 0;
}
td details,
th details {
  font-weight: 400;
  font-size: .875rem;
  margin: 0;
}
details ul {
  margin: .25rem 0 .5rem;
  padding-left: 1.1rem;
}
details pre {
  font: inherit;
  white-space: pre-wrap;
  margin: .1rem 0 .6rem;
  overflow-wrap: anywhere;
}
:focus-visible {
  outline: 3px solid var(--new);
  outline-offset: 2px;
}
`;
