"""How the page looks: on a desk, on a phone, in the dark and on paper."""

from __future__ import annotations

from event_monitor.chaos.report_markup import CHART_STYLE, PALETTE, STATES

_PAGE = """
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
main{max-width:1180px;margin:0 auto;padding:28px 24px 40px}
h1{font-size:30px;line-height:1.2;margin:4px 0 18px;font-weight:650}
h1 span{vertical-align:middle}
h2{font-size:20px;margin:44px 0 6px} h3.group{grid-column:1/-1;margin:14px 0 0;font-size:13px;
text-transform:uppercase;letter-spacing:.08em;color:var(--dim)}
h4{display:flex;justify-content:space-between;align-items:center;margin:0;font-size:15px;gap:8px}
p{margin:4px 0 10px} .dim,.over,.label{color:var(--dim)} .over{margin:0;font-size:13px}
.bad{color:var(--bad)} .good{color:var(--good)} a{color:inherit;text-decoration-color:var(--line)}
code{font:13px ui-monospace,monospace;background:var(--code);padding:2px 6px;border-radius:4px;
overflow-wrap:anywhere}
.mark{display:inline-block;white-space:nowrap;border:1.5px solid currentColor;border-radius:999px;
padding:0 9px;font-size:12px;font-weight:650;line-height:20px}
h1 .mark{font-size:17px;line-height:32px;padding:0 14px;text-transform:uppercase;letter-spacing:.04em;
color:var(--paper);border:0} h1 .mark.good{background:var(--good)} h1 .mark.bad{background:var(--bad)}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(165px,1fr));gap:10px;margin-bottom:16px}
.card,article,figure,.failed{background:var(--card);border:1px solid var(--line);border-radius:8px}
.card{padding:10px 14px;display:flex;flex-direction:column;font-size:13px;line-height:1.35}
.card strong{font-size:25px;line-height:1.3;font-weight:650;font-variant-numeric:tabular-nums}
.failed{border-color:var(--bad);padding:4px 18px 8px;margin-top:24px} .failed h2{margin-top:10px}
.failed p{margin:0} .failed li{margin:6px 0}
.panels{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(340px,100%),1fr));gap:14px}
article{padding:12px 14px 8px;min-width:0;break-inside:avoid;font-size:13px} article p{margin:2px 0}
svg{display:block;width:100%;height:auto}
.faults{margin:4px 0;padding-left:20px;font-size:12px} .faults code{font-size:11px;padding:1px 4px}
details{font-size:12px;margin:4px 0} summary{cursor:pointer;color:var(--dim)}
details ul{margin:4px 0;padding-left:18px}
details li{overflow-wrap:anywhere}
.legend{list-style:none;padding:0;margin:8px 0 12px;display:flex;flex-wrap:wrap;gap:4px 18px;
font-size:12.5px}
.legend li{display:flex;align-items:center;gap:7px}
.swatch{display:inline-block;width:20px;height:10px}
.line-handled{background:linear-gradient(var(--handled) 2px,var(--handled-fill) 2px)}
.line-queue{background:linear-gradient(var(--queue) 2px,var(--queue-fill) 2px)}
.line-published{height:0;border-top:1.5px dashed var(--published)}
.line-back{width:0;border-left:2px solid var(--good);height:13px}
.box-fault{background:var(--fault);border-left:2px solid var(--fault-edge)}
.scroll{overflow-x:auto;border:1px solid var(--line);border-radius:8px;background:var(--card)}
table{border-collapse:collapse;width:100%;font-size:13px;font-variant-numeric:tabular-nums}
th,td{padding:5px 12px;text-align:right;white-space:nowrap;border-top:1px solid var(--grid)}
thead th,thead td{border-top:0;color:var(--dim);font-weight:500;font-size:12px}
th:first-child{text-align:left;position:sticky;left:0;background:var(--card);font-weight:500}
.pictures th,.pictures td{padding-top:2px;padding-bottom:2px}
td.picture{width:34%;min-width:110px} td.picture svg{min-width:90px}
tr.sum th,tr.sum td{font-weight:650;border-top:1.5px solid var(--line)}
.sides{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(440px,100%),1fr));gap:14px;
margin:12px 0;
align-items:start}
figure{margin:0;padding:12px 14px;break-inside:avoid} figcaption{font-weight:600;margin-bottom:4px}
footer{margin-top:40px;border-top:1px solid var(--line);padding-top:12px;font-size:13px}
@media(max-width:560px){main{padding:18px 12px 32px} h1{font-size:22px}
.cards{grid-template-columns:1fr 1fr} .card{padding:8px 10px} .card strong{font-size:20px}
th,td{padding:5px 8px} td.picture{width:auto;min-width:0} td.picture svg{min-width:64px}
.pictures{font-size:12px} .sides th{white-space:normal}
.pictures th,.pictures td{padding:5px 5px}
.pictures td:nth-child(4),.pictures thead th:nth-child(4){display:none}}
@media print{:root{--paper:#fff;--card:#fff;--ink:#000} main{max-width:none;padding:0}
.scroll{overflow:visible} h2,h3{break-after:avoid} tr{break-inside:avoid} a{text-decoration:none}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
"""

_BOXES = "".join(f".box-{state.lower()}{{background:var(--s-{state.lower()})}}" for state in STATES)

STYLE = PALETTE + CHART_STYLE + _PAGE + _BOXES
