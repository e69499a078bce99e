"""How the list of groups and the page of one look, beside what all pages share in `chrome`."""

LOOK = """<style>
.st-key-group_list { gap: 0; flex-wrap: nowrap; align-items: flex-start; }
.st-key-picks { gap: 0; width: 2rem; flex: none; }
.st-key-picks [data-testid="stElementContainer"] { height: 3.1rem; width: 2rem; display: flex; align-items: center;
  border-top: 1px solid var(--mh-line); box-sizing: border-box; }
.st-key-picks [data-testid="stElementContainer"]:first-child { height: 2rem; border: 0; }
.st-key-picks label { margin: 0; padding: 0.5rem 0.3rem; min-height: 0; }
.mh-groups { container-type: inline-size; }
.mh-groups table { width: 100%; border-collapse: collapse; table-layout: fixed; font-size: 0.88rem; }
.mh-groups th { height: 2rem; padding: 0 0.8rem 0 0; text-align: left; font-weight: 500; font-size: 0.78rem;
  color: var(--mh-soft); white-space: nowrap; }
.mh-groups td { height: 3.1rem; padding: 0 0.8rem 0 0; border-top: 1px solid var(--mh-line); overflow: hidden;
  text-overflow: ellipsis; white-space: nowrap; vertical-align: middle; line-height: 1.3; }
.mh-groups td.mh-when, .mh-groups th.mh-when { padding-left: 0.9rem; }
.mh-groups .num { text-align: right; font-variant-numeric: tabular-nums; }
.mh-groups .mh-name { display: block; overflow: hidden; text-overflow: ellipsis; }
.mh-groups .mh-name + small { padding-left: 1.07rem; }
.mh-groups .mh-name a { color: inherit; text-decoration: none; font-weight: 560; }
.mh-groups .mh-name a:hover, .mh-groups .mh-name a:focus-visible { text-decoration: underline; }
.mh-groups small { display: block; overflow: hidden; text-overflow: ellipsis; font-size: 0.8rem;
  color: var(--mh-soft); }
.mh-groups tr.mh-picked td { background: color-mix(in srgb, var(--mh-accent) 9%, transparent); }
.mh-groups tr:hover td { background: color-mix(in srgb, var(--mh-accent) 6%, transparent); }
.mh-groups tr.mh-quieted .mh-name a { font-weight: 450; }
.mh-groups th.mh-trend { width: 9.4rem; } .mh-groups th.mh-many { width: 5rem; }
.mh-groups th.mh-when { width: 7.6rem; }
.mh-groups th.mh-state { width: 9.4rem; } .mh-groups th.mh-whose { width: 7rem; }
.mh-spark { display: block; max-width: none; margin: 0; }
.mh-badge { display: inline-block; max-width: 100%; overflow: hidden; text-overflow: ellipsis; vertical-align: middle;
  border-radius: 999px; padding: 0.06rem 0.6rem; font-size: 0.76rem; font-weight: 560; line-height: 1.5;
  border: 1px solid var(--mh-line); color: var(--mh-soft); white-space: nowrap; box-sizing: border-box; }
.mh-badge.new { color: var(--mh-accent); border-color: currentColor; }
.mh-badge.regressed { color: var(--mh-high); border-color: currentColor; }
.mh-badge.resolved { color: var(--mh-good); border-color: currentColor; }
@container (max-width: 1000px) { .mh-groups .mh-extra { display: none; } }
@container (max-width: 760px) { .mh-groups .mh-roomy { display: none; } .mh-groups th.mh-trend { width: 9.2rem; }
  .mh-groups .mh-when { width: 6.2rem; padding: 0 0.3rem !important; } .mh-groups th.mh-many { width: 3.8rem; }
  .mh-groups th.mh-state { width: 7.6rem; } }
.st-key-assignee [role="group"]::before, .st-key-sort [role="group"]::before { content: "Assigned to";
  align-self: center; padding-left: 0.75rem; margin-right: -0.2rem; font-size: 0.88rem; color: var(--mh-soft);
  white-space: nowrap; }
.st-key-sort [role="group"]::before { content: "By"; }
[class*="st-key-choices_"] button { padding: 0.15rem 0.6rem; min-height: 2rem; }
[class*="st-key-choices_"] [data-testid="stBaseButton-tertiary"], [class*="st-key-choices_"]
  [data-testid="stBaseButton-tertiary"] > div { justify-content: flex-start; text-align: left; }
.st-key-group_bar { min-height: 2.5rem; margin: 0.2rem 0 0; }
[class*="st-key-tab_"] button { padding: 0.25rem 0.1rem; margin-right: 0.7rem; color: var(--mh-soft); border-radius: 0;
  border-bottom: 2px solid transparent; min-height: 2rem; font-variant-numeric: tabular-nums; }
[class*="st-key-tab_"][class*="_now"] button { color: inherit; font-weight: 600;
  border-bottom-color: var(--mh-accent); }
.mh-place { font-size: 0.84rem; color: var(--mh-soft); font-variant-numeric: tabular-nums; white-space: nowrap; }
.mh-count { white-space: nowrap; padding-right: 0.5rem; }
.st-key-nothing { padding: 3.5rem 0; text-align: center; }
.mh-paused i { background: var(--mh-medium) !important; }
.mh-back { color: var(--mh-accent); text-decoration: none; font-size: 0.92rem; }
.mh-group h2 { font-size: 1.3rem; font-weight: 640; line-height: 1.35; margin: 0 0 0.35rem; padding: 0;
  display: flex; align-items: baseline; overflow-wrap: anywhere; }
.mh-group h2 .mh-sev { flex: none; }
.mh-group h2 bdi { min-width: 0; display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 4;
  overflow: hidden; }
.mh-about { display: flex; flex-wrap: wrap; align-items: center; gap: 0.3rem 0.8rem; font-size: 0.86rem;
  color: var(--mh-soft); } .mh-about code { font-size: 0.78rem; background: none; padding: 0; overflow-wrap: anywhere; }
.mh-figures { display: flex; flex-wrap: wrap; gap: 0.4rem 2.6rem; margin: 0.5rem 0 0.2rem !important;
  padding: 0 !important; }
.mh-figures dt { font-size: 0.8rem; color: var(--mh-soft); font-weight: 400; }
.mh-figures dd { margin: 0; font-size: 1.35rem; font-weight: 500; font-variant-numeric: tabular-nums;
  white-space: nowrap; }
.mh-where { display: grid; gap: 0.9rem 1.6rem; grid-template-columns: repeat(auto-fit, minmax(15rem, 1fr)); }
.mh-where h4 { font-size: 0.8rem; font-weight: 500; color: var(--mh-soft);
  margin: 0 0 0.2rem; padding: 0; } .mh-where ul { list-style: none; margin: 0;
  padding: 0 !important; }
.mh-where li { position: relative; display: flex; justify-content: space-between; gap: 0.8rem; margin: 0 0 2px;
  padding: 0.16rem 0.5rem; font-size: 0.85rem; }
.mh-where .mh-bar { position: absolute; inset: 0 auto 0 0; border-radius: 3px;
  background: color-mix(in srgb, var(--mh-accent) 16%, transparent); }
.mh-where .mh-value { position: relative; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.mh-where b { position: relative; font-weight: 500; font-variant-numeric: tabular-nums; white-space: nowrap; }
.mh-note { font-size: 0.88rem; padding: 0.5rem 0; border-top: 1px solid var(--mh-line); }
.mh-note p { font-size: 0.88rem; margin: 0.15rem 0 0; white-space: pre-wrap; overflow-wrap: anywhere; }
[class*="st-key-member_"] { flex-wrap: nowrap; }
.mh-member { font-size: 0.88rem; min-width: 0; } .mh-member span { display: block; overflow: hidden;
  text-overflow: ellipsis; white-space: nowrap; }
.mh-member small, .mh-story small { display: block; font-size: 0.8rem; color: var(--mh-soft); overflow-wrap: anywhere; }
.mh-story { list-style: none; margin: 0 !important; padding: 0 !important; font-size: 0.87rem; }
.mh-story li { display: flex; justify-content: space-between; gap: 1rem; padding: 0.4rem 0; margin: 0;
  border-top: 1px solid var(--mh-line); } .mh-story li > span { min-width: 0; }
.mh-story time { color: var(--mh-soft); white-space: nowrap; font-size: 0.82rem; }
</style>"""
