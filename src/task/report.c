#include "scweave/plot.h"
#include "base/status.h"
scw_status scw_report(const char *output, const scw_report_request *request, const scw_hooks *hooks)
{ (void)output;(void)request;(void)hooks; return status_fail(SCW_EUNSUPPORTED,"x"); }
