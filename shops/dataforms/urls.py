"""Paths of data collection forms: the merchant's under a shop's settings, the buyer's under /forms/."""

from django.urls import path

from shops.dataforms import public, views

_FORM = "settings/shops/<str:site_id>/data-form/"

urlpatterns = [
    path(_FORM, views.builder, name="data_form"),
    path(f"{_FORM}fields/", views.fields, name="data_form_fields"),
    path(f"{_FORM}texts/", views.texts, name="data_form_texts"),
    path(f"{_FORM}preview/", views.preview, name="data_form_preview_link"),
    path(f"{_FORM}go-live/", views.go_live, name="data_form_go_live"),
    path(f"{_FORM}copy-live/", views.copy_live, name="data_form_copy_live"),
    path(f"{_FORM}withdraw/", views.withdraw, name="data_form_withdraw"),
    path(f"{_FORM}cancel-request/", views.cancel_request, name="data_form_cancel_request"),
    path(f"{_FORM}versions/", views.versions, name="data_form_versions"),
    path(f"{_FORM}answers/", views.answers, name="data_form_answers"),
    path(f"{_FORM}answers/<uuid:key>/", views.answer, name="data_form_answer"),
    path(f"{_FORM}answers/<uuid:key>/erase/", views.answer_erase, name="data_form_answer_erase"),
    path("forms/preview/<str:signed>/", public.preview, name="data_form_preview"),
    path("forms/<str:token>/", public.form, name="data_form_public"),
]
