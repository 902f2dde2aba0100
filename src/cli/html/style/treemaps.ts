/** The style of figures and their legends, and of treemaps. */

export const TREEMAPS = `
figure {
  margin: 1rem 0;
}
figcaption {
  color: var(--muted);
  font-size: .9rem;
  margin: .5rem 0;
}
ul.legend {
  list-style: none;
  display: flex;
  flex-wrap: wrap;
  gap: .2rem 1.5rem;
  margin: .75rem 0;
  padding: 0;
  font-size: .9rem;
}
ul.legend li {
  display: flex;
  align-items: center;
  gap: .5rem;
  min-width: 0;
}
ul.legend .sample {
  width: 2.25rem;
  height: 1rem;
  flex: none;
}
.swatch {
  width: 1rem;
  height: 1rem;
  flex: none;
  border: 1px solid var(--muted);
}
.treemap {
  position: relative;
  height: 32rem;
  overflow: hidden;
  font-size: .8rem;
  line-height: 1.25;
}
.box {
  position: absolute;
  overflow: hidden;
  border: 1px solid var(--page);
  container-type: size;
}
.box span {
  display: none;
  padding: .15rem .3rem;
  white-space: nowrap;
  overflow: hidden;
  text-overflow: ellipsis;
}
.box span + span {
  padding-top: 0;
}
@container (min-width: 2.2rem) and (min-height: 1.25rem) {
  .box span:first-child {
    display: block;
  }
}
@container (min-width: 3.2rem) and (min-height: 2.4rem) {
  .box span + span {
    display: block;
  }
}
.layer {
  position: absolute;
  overflow: hidden;
  font-size: .75rem;
  color: var(--muted);
  border: 1px solid var(--muted);
  background: var(--page);
  container-type: size;
}
.layer span {
  display: none;
  padding: 0 .3rem;
  white-space: nowrap;
  overflow: hidden;
  text-overflow: ellipsis;
}
@container (min-width: 5rem) {
  .layer span {
    display: block;
  }
}
.new {
  background: var(--new);
  color: var(--on-new);
}
.along {
  background: var(--along);
  color: var(--on-along);
}
.kept {
  background: var(--kept);
  color: var(--on-kept);
}
.shade-1 {
  background: var(--shade-1);
  color: var(--on-shade);
}
.shade-2 {
  background: var(--shade-2);
  color: var(--on-shade);
}
.shade-3 {
  background: var(--shade-3);
  color: var(--on-shade);
}
.shade-4 {
  background: var(--shade-4);
  color: var(--on-dark-shade);
}
.shade-5 {
  background: var(--shade-5);
  color: var(--on-dark-shade);
}
`;
