/** What differs on narrow screens and on paper. */

const NARROW = `
@media (max-width: 40rem) {
  body {
    font-size: 15px;
  }
  header,
  main,
  footer {
    padding-inline: 1rem;
  }
  header {
    padding-top: 1.5rem;
  }
  h1 {
    font-size: 1.45rem;
  }
  h2 {
    margin-top: 2.75rem;
  }
  dl.facts {
    grid-template-columns: repeat(2, minmax(0, 1fr));
    gap: 0 1rem;
  }
  dl.facts .figure {
    font-size: 1.25rem;
  }
  thead {
    position: absolute;
    width: 1px;
    height: 1px;
    overflow: hidden;
    clip-path: inset(50%);
  }
  table,
  caption,
  tbody,
  tr,
  th,
  td {
    display: block;
    width: auto;
    min-width: 0;
  }
  tbody tr {
    display: flex;
    flex-wrap: wrap;
    gap: .1rem 1rem;
    padding: .6rem 0;
    border-bottom: 1px solid var(--rule);
  }
  tbody th,
  tbody td {
    padding: 0;
    border: 0;
    white-space: normal;
    text-align: left;
  }
  tbody th,
  td.words,
  td.bars {
    flex: 1 1 100%;
  }
  td[data-title]::before {
    content: attr(data-title) " ";
    color: var(--muted);
  }
  td:empty {
    display: none;
  }
  td.version,
  tbody th.name {
    min-width: 0;
  }
  .bar,
  .strip {
    margin: .15rem 0 .25rem;
  }
  .scale-x span:nth-child(even) {
    display: none;
  }
}
`;

/** Chromium prints blank sheets if many boxes are containers: labels end where their box does. */
const PRINT = `
@media print {
  .box,
  .layer {
    container-type: normal;
  }
  .box span,
  .layer span {
    display: block;
  }
  body {
    font-size: 10pt;
  }
  header,
  main,
  footer {
    max-width: none;
    padding: 0;
  }
  h1 {
    font-size: 18pt;
  }
  h2 {
    margin-top: 1.5rem;
  }
  h2,
  h3,
  caption,
  summary {
    break-after: avoid;
  }
  figure,
  tr,
  dl.facts {
    break-inside: avoid;
  }
  thead {
    display: table-header-group;
  }
  .scroll {
    overflow: visible;
  }
  dl.facts {
    grid-template-columns: repeat(auto-fit, minmax(6.5rem, 1fr));
    gap: 0 1rem;
  }
  section > p {
    break-after: avoid;
  }
  .treemap {
    height: 20rem;
    font-size: .65rem;
  }
  .layer {
    font-size: .55rem;
    line-height: 1.15;
  }
  .treemap,
  .plot,
  .bar,
  .strip,
  .swatch,
  ul.legend {
    print-color-adjust: exact;
    -webkit-print-color-adjust: exact;
  }
}
`;

export const MEDIA = `${NARROW}${PRINT}`;
